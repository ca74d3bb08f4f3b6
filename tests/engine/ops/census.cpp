#include "tests/engine/ops/census.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

#include "engine/autograd/modes.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/kernels/kernel.h"
#include "tests/support/tensors.h"
#include "tests/support/threads.h"

namespace blalm::census {
namespace {

using test::relative_error;
using test::same_bits;

struct CaseResult {
  std::vector<Tensor> outputs;
  std::vector<Tensor> gradients;  // one an input; undefined where none was asked for
};

// Everything a run needs that stays the same between runs of one case.
struct Drawn {
  std::vector<Tensor> inputs;  // f64, of values that float holds exactly
  std::vector<Tensor> douts;   // f64
};

Drawn draw(const Case& c) {
  Drawn d;
  Rng rng(17);
  for (const Input& in : c.inputs) {
    Tensor t = Tensor::empty(in.shape, DType::f64);
    if (in.fill.low < in.fill.high)
      rng.fill_uniform(t, in.fill.low, in.fill.high);
    else
      rng.fill_normal(t, in.fill.mean, in.fill.stddev);
    // bf16 cases draw values that bf16 holds exactly: then only the arithmetic differs.
    d.inputs.push_back(t.to(c.bf16 && !in.fill.gate ? DType::bf16 : DType::f32).to(DType::f32).to(DType::f64));
  }
  std::vector<Var> vars(d.inputs.begin(), d.inputs.end());
  for (const Var& out : c.fused(vars)) {
    Tensor t = Tensor::empty(out.shape(), DType::f64);
    rng.fill_normal(t, 0, 1);
    d.douts.push_back(t.to(c.bf16 ? DType::bf16 : DType::f32).to(DType::f64));
  }
  return d;
}

// Runs forward and backward in a dtype; `only` asks for the gradient of one input alone.
CaseResult run_case(const Case& c, const Call& call, const Drawn& d, DType dtype, std::optional<std::size_t> only = {}) {
  Tape tape;
  std::vector<Var> vars;
  for (std::size_t i = 0; i < d.inputs.size(); ++i) {
    const DType as = c.inputs[i].fill.gate ? compute_dtype(dtype) : dtype;
    const Tensor t = d.inputs[i].to(as);
    const bool follow = c.inputs[i].differentiable && (!only || *only == i);
    vars.push_back(follow ? tape.leaf(t, c.inputs[i].name) : Var(t));
  }
  const std::vector<Var> outputs = call(vars);
  CaseResult r;
  std::vector<Var> followed;
  std::vector<Tensor> gradients;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    r.outputs.push_back(outputs[i].value());
    if (!outputs[i].requires_grad()) continue;
    followed.push_back(outputs[i]);
    gradients.push_back(d.douts[i].to(outputs[i].dtype()));
  }
  if (!followed.empty()) tape.backward(followed, gradients);
  for (const Var& v : vars) {
    Tensor g = v.requires_grad() ? tape.grad(v) : Tensor();
    if (v.requires_grad() && !g.defined()) g = Tensor::zeros(v.shape(), v.dtype());
    r.gradients.push_back(g);
  }
  return r;
}

// A case whose true gradient is zero but for rounding has no relative error: it must not ask for that gradient.
// `slack`: inputs' f32_slack counts.
void compare(const Case& c, const CaseResult& got, const CaseResult& want, double tolerance, const std::string& what,
             bool slack = false) {
  REQUIRE(got.outputs.size() == want.outputs.size());
  for (std::size_t i = 0; i < got.outputs.size(); ++i) {
    REQUIRE(got.outputs[i].shape() == want.outputs[i].shape());
    const double error = relative_error(got.outputs[i], want.outputs[i]);
    CHECK_MESSAGE(error <= tolerance,
                  fmt::format("{}: output {} differs by {:.2e} (allowed {:.0e})", what, i, error, tolerance));
  }
  for (std::size_t i = 0; i < got.gradients.size(); ++i) {
    if (!got.gradients[i].defined() || !want.gradients[i].defined()) continue;
    const double error = relative_error(got.gradients[i], want.gradients[i]);
    const double allowed = slack ? c.inputs[i].f32_slack * tolerance : tolerance;
    CHECK_MESSAGE(error <= allowed, fmt::format("{}: gradient of {} differs by {:.2e} (allowed {:.0e})", what,
                                                c.inputs[i].name, error, allowed));
  }
}

void compare_bits(const Case& c, const CaseResult& a, const CaseResult& b, const std::string& what) {
  for (std::size_t i = 0; i < a.outputs.size(); ++i)
    CHECK_MESSAGE(same_bits(a.outputs[i], b.outputs[i]), fmt::format("{}: bits of output {} differ", what, i));
  for (std::size_t i = 0; i < a.gradients.size(); ++i)
    if (a.gradients[i].defined())
      CHECK_MESSAGE(same_bits(a.gradients[i], b.gradients[i]),
                    fmt::format("{}: bits of gradient {} differ", what, c.inputs[i].name));
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) sum += a.at(i) * b.at(i);
  return sum;
}

// Derivatives of Σ dout · f(inputs) along directions of one input, by the complex step or by central differences.
class Derivative {
 public:
  Derivative(const Case& c, const Drawn& d, std::size_t input) : case_(c), drawn_(d), x_(d.inputs[input]) {
    for (const Tensor& t : d.inputs) vars_.emplace_back(c.complex_step ? t.to(DType::c128) : t.clone());
    moved_ = vars_[input].value();
  }

  double along_element(std::int64_t at) {
    const auto move = [&](auto step) {
      using T = decltype(step);
      moved_.mutable_data<T>()[at] = T(x_.at(at)) + step;
    };
    const double slope = slope_of(move);
    case_.complex_step ? move(Complex(0)) : move(0.0);
    return slope;
  }
  double along(const Tensor& direction) {
    const auto move = [&](auto step) {
      using T = decltype(step);
      T* p = moved_.mutable_data<T>();
      for (std::int64_t k = 0; k < x_.numel(); ++k) p[k] = T(x_.at(k)) + step * direction.at(k);
    };
    const double slope = slope_of(move);
    case_.complex_step ? move(Complex(0)) : move(0.0);
    return slope;
  }

 private:
  template <class Move>
  double slope_of(const Move& move) {
    if (case_.complex_step) {
      constexpr double h = 1e-30;
      move(Complex(0, h));
      return value<Complex>().imag() / h;
    }
    constexpr double h = 1e-5;
    const auto moved = [&](double step) {
      move(step);
      return value<double>();
    };
    // Four points: the error is of order h⁴.
    return (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
  }
  template <class T>
  T value() const {
    T sum(0);
    const auto outputs = case_.fused(vars_);
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const T* y = outputs[o].value().template data<T>();
      const double* dout = drawn_.douts[o].data<double>();
      for (std::int64_t k = 0; k < outputs[o].value().numel(); ++k) sum += dout[k] * y[k];
    }
    return sum;
  }

  const Case& case_;
  const Drawn& drawn_;
  const Tensor& x_;
  std::vector<Var> vars_;
  Tensor moved_;  // shares storage with the variable
};

// Inputs of up to `each` elements are differentiated element by element.
void gradcheck(const Case& c, const Drawn& d, const CaseResult& result, std::int64_t each) {
  constexpr std::int64_t kSample = 32, kDirections = 4;
  const double tolerance = c.complex_step ? 1e-10 : 1e-6;
  Rng rng(23);
  for (std::size_t i = 0; i < d.inputs.size(); ++i) {
    if (!result.gradients[i].defined()) continue;
    const Tensor& gradient = result.gradients[i];
    const std::int64_t n = gradient.numel();
    if (n == 0) continue;
    const double rms = std::sqrt(dot(gradient, gradient) / static_cast<double>(n));
    double worst = 0;
    std::string place;
    const auto judge = [&](double got, double want, const std::string& where) {
      const double difference = std::abs(got - want), scale = std::max({std::abs(want), rms, 1e-12});
      if (difference <= worst * scale) return;
      worst = std::isfinite(difference) ? difference / scale : std::numeric_limits<double>::infinity();
      place = where;
    };
    Derivative derivative(c, d, i);
    for (std::int64_t k = 0; k < std::min(n, n <= each ? each : kSample); ++k) {
      const std::int64_t at = n <= each ? k : static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(n)));
      judge(gradient.at(at), derivative.along_element(at), fmt::format("element {}", at));
    }
    for (std::int64_t k = 0; n > each && k < kDirections; ++k) {
      Tensor direction = Tensor::empty(gradient.shape(), DType::f64);
      rng.fill_normal(direction, 0, 1);
      const double size = std::sqrt(dot(direction, direction));
      judge(dot(gradient, direction) / size, derivative.along(direction) / size, "a random direction");
    }
    CHECK_MESSAGE(worst <= tolerance, fmt::format("gradcheck: gradient of {} differs by {:.2e} (allowed {:.0e}) at {}",
                                                  c.inputs[i].name, worst, tolerance, place));
  }
}

// While alive, work is shared out to so many threads, however little it is.
struct EagerThreads {
  explicit EagerThreads(int n) : threads(n) {}
  test::Threads threads;
  ParallelFloor floor{0};
};

// How often each implementation of each kernel has run.
std::vector<std::vector<std::int64_t>> count_runs() {
  std::vector<std::vector<std::int64_t>> counts;
  for (const KernelBase* k : all_kernels()) {
    counts.emplace_back();
    for (std::size_t i = 0; i < k->entries().size(); ++i) counts.back().push_back(k->runs(i));
  }
  return counts;
}

// Implementations whose results have been compared with f64 by check_kernels.
std::set<std::pair<std::string_view, std::string_view>> compared_implementations;

// One run on 1 and one on 3 threads under a policy, both compared with f64 and with each other. Marks what ran.
void check_policy(const Case& c, const Drawn& d, const CaseResult& want, DType dtype, const KernelPolicy& policy, bool same,
                  const std::string& what) {
  const KernelChoice choice(policy);
  const auto before = count_runs();
  const auto on = [&](int threads) {
    const EagerThreads guard(threads);
    return run_case(c, c.fused, d, dtype);
  };
  const CaseResult one = on(1), three = on(3);
  const double tolerance = dtype == DType::bf16 ? c.bf16_tolerance : c.f32_tolerance;
  const bool slack = dtype == DType::f32;
  compare(c, one, want, tolerance, what, slack);
  if (same) {
    compare_bits(c, one, three, what + ", threads");
  } else {
    compare(c, three, want, tolerance, what + ", 3 threads", slack);
    compare(c, one, three, dtype == DType::bf16 ? 0x1p-8 : 1e-5, what + ", threads");
  }
  const auto after = count_runs();
  for (std::size_t k = 0; k < after.size(); ++k)
    for (std::size_t i = 0; i < after[k].size(); ++i)
      if (after[k][i] > before[k][i])
        compared_implementations.emplace(all_kernels()[k]->name(), all_kernels()[k]->entries()[i].name);
}

// Every implementation of every kernel that runs in this case, against f64. One that declines is passed over when its
// own list says so; the census of implementations sees to it that some case reaches each.
void check_kernels(const Case& c, const Drawn& d, const CaseResult& want, DType dtype) {
  const auto before = count_runs();
  const CaseResult usual = run_case(c, c.fused, d, dtype);
  const auto after = count_runs();
  compare(c, usual, want, dtype == DType::bf16 ? c.bf16_tolerance : c.f32_tolerance,
          fmt::format("{} default", name_of(dtype)), dtype == DType::f32);
  check_policy(c, d, want, dtype, {.backend = Backend::cpu, .composed = false, .forced = {}}, true,
               fmt::format("{} cpu", name_of(dtype)));
  for (std::size_t k = 0; k < after.size(); ++k) {
    const KernelBase& kernel = *all_kernels()[k];
    if (after[k] == before[k] || kernel.entries().size() == 1) continue;  // the only one has run above
    for (const auto& entry : kernel.entries()) {
      const bool onednn = entry.name.starts_with("onednn");
      try {
        check_policy(c, d, want, dtype,
                     {.backend = onednn ? Backend::automatic : Backend::cpu,
                      .composed = false,
                      .forced = {{std::string(kernel.name()), std::string(entry.name)}}},
                     !onednn, fmt::format("{} {}={}", name_of(dtype), kernel.name(), entry.name));
      } catch (const KernelDeclined& e) {
        REQUIRE_MESSAGE((e.kernel() == kernel.name() && e.implementation() == entry.name), e.what());
      }
    }
  }
}

void run_checks(const Case& c, std::int64_t each) {
  const Drawn d = draw(c);
  const CaseResult f64 = run_case(c, c.fused, d, DType::f64);
  if (c.finite)
    for (const Tensor& t : f64.outputs)
      for (std::int64_t i = 0; i < t.numel(); ++i) REQUIRE(std::isfinite(t.at(i)));

  if (c.composed) {
    CaseResult composed;
    {
      KernelPolicy policy;
      policy.composed = true;  // composed all the way down
      const KernelChoice choice(policy);
      composed = run_case(c, c.composed, d, DType::f64);
    }
    compare(c, f64, composed, c.composed_tolerance, "composed");
  }
  gradcheck(c, d, f64, each);

  Pool::instance().set_poison(true);
  check_kernels(c, d, f64, DType::f32);
  if (c.bf16) check_kernels(c, d, f64, DType::bf16);
  const CaseResult once = run_case(c, c.fused, d, DType::f32);
  compare_bits(c, once, run_case(c, c.fused, d, DType::f32), "repeat");
  Pool::instance().set_poison(false);

  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i].differentiable) continue;
    const CaseResult alone = run_case(c, c.fused, d, DType::f64, i);
    for (std::size_t o = 0; o < f64.outputs.size(); ++o) CHECK(same_bits(alone.outputs[o], f64.outputs[o]));
    const double error = relative_error(alone.gradients[i], f64.gradients[i]);
    CHECK_MESSAGE(error <= 1e-12, fmt::format("want: gradient of {} alone differs by {:.2e}", c.inputs[i].name, error));
    for (std::size_t j = 0; j < c.inputs.size(); ++j) CHECK(alone.gradients[j].defined() == (i == j));
  }

  std::vector<Var> constants(d.inputs.begin(), d.inputs.end());
  const InferenceMode inference;
  const auto outputs = c.fused(constants);
  for (std::size_t o = 0; o < outputs.size(); ++o) {
    CHECK(!outputs[o].requires_grad());
    const double error = relative_error(outputs[o].value(), f64.outputs[o]);
    CHECK_MESSAGE(error <= 1e-12, fmt::format("no grad: output {} differs by {:.2e}", o, error));
  }
}

}  // namespace

bool compared(std::string_view kernel, std::string_view implementation) {
  return compared_implementations.contains({kernel, implementation});
}

void run_gradcheck(const OpCensus& op, std::int64_t each) {
  for (const Case& c : op.cases) {
    INFO("op ", op.op, ", case ", c.name);
    const Drawn d = draw(c);
    gradcheck(c, d, run_case(c, c.fused, d, DType::f64), each);
  }
}

void run(const OpCensus& op, std::int64_t each) {
  REQUIRE_MESSAGE(!op.cases.empty(), op.op << " has no cases");
  for (const Case& c : op.cases) {
    INFO("op ", op.op, ", case ", c.name);
    run_checks(c, each);
  }
  for (const ErrorCase& e : op.errors) {
    INFO("op ", op.op, ", error case ", e.name);
    std::string message;
    try {
      e.call();
    } catch (const Error& error) {
      message = error.what();
    }
    CHECK_MESSAGE(message.find(e.words) != std::string::npos,
                  "message: \"" << message << "\", expected words: " << e.words);
    CHECK(message.find('\n') == std::string::npos);
  }
}

}  // namespace blalm::census
