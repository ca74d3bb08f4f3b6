#include "census.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "blalm/autograd/modes.h"
#include "blalm/core/error.h"
#include "blalm/core/parallel.h"
#include "blalm/kernels/registry.h"

namespace blalm::census {
namespace {

struct Result {
  std::vector<Tensor> outputs;
  std::vector<Tensor> gradients;  // one an input; undefined where none was asked for
};

// Everything a run needs that stays the same between runs of one case.
struct Drawn {
  std::vector<Tensor> inputs;     // f64, of values that float holds exactly
  std::vector<Tensor> douts;      // f64
};

Drawn draw(const Case& c) {
  Drawn d;
  Rng rng(17);
  for (const Input& in : c.inputs) {
    Tensor t = Tensor::empty(in.shape, DType::f64);
    if (in.fill.low < in.fill.high) rng.fill_uniform(t, in.fill.low, in.fill.high);
    else rng.fill_normal(t, in.fill.mean, in.fill.stddev);
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
Result run_case(const Case& c, const Call& call, const Drawn& d, DType dtype, std::optional<std::size_t> only = {}) {
  Tape tape;
  std::vector<Var> vars;
  for (std::size_t i = 0; i < d.inputs.size(); ++i) {
    const DType as = c.inputs[i].fill.gate ? compute_dtype(dtype) : dtype;
    const Tensor t = d.inputs[i].to(as);
    const bool follow = c.inputs[i].differentiable && (!only || *only == i);
    vars.push_back(follow ? tape.leaf(t, c.inputs[i].name) : Var(t));
  }
  const std::vector<Var> outputs = call(vars);
  Result r;
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

double relative_error(const Tensor& got, const Tensor& want) {
  double difference = 0, norm = 0;
  for (std::int64_t i = 0; i < want.numel(); ++i) {
    const double w = want.at(i), e = got.at(i) - w;
    difference += e * e;
    norm += w * w;
  }
  if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
  return difference == 0 ? 0 : std::sqrt(difference / std::max(norm, 1e-30));
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), static_cast<std::size_t>(a.bytes())) == 0;
}

// A case whose true gradient is zero but for rounding has no relative error: it must not ask for that gradient.
void compare(const Case& c, const Result& got, const Result& want, double tolerance, const std::string& what) {
  REQUIRE(got.outputs.size() == want.outputs.size());
  for (std::size_t i = 0; i < got.outputs.size(); ++i) {
    REQUIRE(got.outputs[i].shape() == want.outputs[i].shape());
    const double error = relative_error(got.outputs[i], want.outputs[i]);
    CHECK_MESSAGE(error <= tolerance, fmt::format("{}: output {} differs by {:.2e} (allowed {:.0e})", what, i, error, tolerance));
  }
  for (std::size_t i = 0; i < got.gradients.size(); ++i) {
    if (!got.gradients[i].defined() || !want.gradients[i].defined()) continue;
    const double error = relative_error(got.gradients[i], want.gradients[i]);
    CHECK_MESSAGE(error <= tolerance, fmt::format("{}: gradient of {} differs by {:.2e} (allowed {:.0e})", what,
                                                  c.inputs[i].name, error, tolerance));
  }
}

void compare_bits(const Case& c, const Result& a, const Result& b, const std::string& what) {
  for (std::size_t i = 0; i < a.outputs.size(); ++i)
    CHECK_MESSAGE(same_bits(a.outputs[i], b.outputs[i]), fmt::format("{}: bits of output {} differ", what, i));
  for (std::size_t i = 0; i < a.gradients.size(); ++i)
    if (a.gradients[i].defined())
      CHECK_MESSAGE(same_bits(a.gradients[i], b.gradients[i]), fmt::format("{}: bits of gradient {} differ", what, c.inputs[i].name));
}

double dot(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) sum += a.at(i) * b.at(i);
  return sum;
}

// d/dh of Σ dout · f(inputs + h · direction of input i), by the complex step or by central differences.
double directional(const Case& c, const Drawn& d, std::size_t input, const Tensor& direction) {
  if (c.complex_step) {
    constexpr double h = 1e-30;
    std::vector<Var> vars;
    for (std::size_t j = 0; j < d.inputs.size(); ++j) {
      const Tensor z = d.inputs[j].to(DType::c128);
      if (j == input) {
        Complex* p = z.mutable_data<Complex>();
        for (std::int64_t k = 0; k < z.numel(); ++k) p[k] += Complex(0, h * direction.at(k));
      }
      vars.emplace_back(z);
    }
    double sum = 0;
    const auto outputs = c.fused(vars);
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const Complex* y = outputs[o].value().data<Complex>();
      for (std::int64_t k = 0; k < outputs[o].value().numel(); ++k) sum += d.douts[o].at(k) * y[k].imag();
    }
    return sum / h;
  }
  constexpr double h = 1e-5;
  const auto value = [&](double step) {
    std::vector<Var> vars;
    for (std::size_t j = 0; j < d.inputs.size(); ++j) {
      const Tensor x = d.inputs[j].clone();
      if (j == input) {
        double* p = x.mutable_data<double>();
        for (std::int64_t k = 0; k < x.numel(); ++k) p[k] += step * direction.at(k);
      }
      vars.emplace_back(x);
    }
    double sum = 0;
    const auto outputs = c.fused(vars);
    for (std::size_t o = 0; o < outputs.size(); ++o) sum += dot(d.douts[o], outputs[o].value());
    return sum;
  };
  // Four points: the error is of order h⁴.
  return (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h);
}

void gradcheck(const Case& c, const Drawn& d, const Result& result) {
  const double tolerance = c.complex_step ? 1e-10 : 1e-6;
  Rng rng(23);
  for (std::size_t i = 0; i < d.inputs.size(); ++i) {
    if (!result.gradients[i].defined()) continue;
    const Tensor& gradient = result.gradients[i];
    const std::int64_t n = gradient.numel();
    // Small inputs element by element, large ones along random directions and at a few elements.
    std::vector<Tensor> directions;
    const auto unit = [&](std::int64_t at) {
      Tensor e = Tensor::zeros(gradient.shape(), DType::f64);
      e.mutable_data<double>()[at] = 1;
      directions.push_back(e);
    };
    if (n <= 32) {
      for (std::int64_t k = 0; k < n; ++k) unit(k);
    } else {
      for (int k = 0; k < 3; ++k) {
        directions.push_back(Tensor::empty(gradient.shape(), DType::f64));
        rng.fill_normal(directions.back(), 0, 1);
      }
      for (int k = 0; k < 5; ++k) unit(static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(n))));
    }
    double difference = 0, norm = std::sqrt(dot(gradient, gradient)), scale = 0;
    for (const Tensor& direction : directions) {
      const double want = directional(c, d, i, direction), got = dot(gradient, direction);
      const double size = std::sqrt(dot(direction, direction));
      difference = std::max(difference, std::abs(got - want) / size);
      scale = std::max(scale, std::abs(want) / size);
    }
    const double error = difference / std::max({norm / std::sqrt(static_cast<double>(std::max<std::int64_t>(n, 1))), scale, 1e-12});
    CHECK_MESSAGE(error <= tolerance, fmt::format("gradcheck: gradient of {} differs by {:.2e} (allowed {:.0e})",
                                                  c.inputs[i].name, error, tolerance));
  }
}

const KernelBase& kernel_named(const std::string& name) {
  for (const KernelBase* k : all_kernels())
    if (k->name() == name) return *k;
  FAIL("no kernel is named " << name);
  throw ConfigError("unreachable");
}

// Every implementation of every kernel that the op runs, against f64. Ones that decline this case are passed over:
// the census of implementations sees to it that some case reaches each.
void check_kernels(const OpCensus& op, const Case& c, const Drawn& d, const Result& want, DType dtype, double tolerance) {
  compare(c, run_case(c, c.fused, d, dtype), want, tolerance, fmt::format("{} default", name_of(dtype)));
  for (const std::string& name : op.kernels)
    for (const auto& entry : kernel_named(name).entries()) {
      KernelPolicy policy;
      policy.forced.emplace_back(name, std::string(entry.name));
      const KernelChoice choice(policy);
      std::optional<Result> got;
      try {
        got = run_case(c, c.fused, d, dtype);
      } catch (const ConfigError&) {
        continue;
      }
      compare(c, *got, want, tolerance, fmt::format("{} {}={}", name_of(dtype), name, entry.name));
    }
}

void run_checks(const OpCensus& op, const Case& c) {
  const Drawn d = draw(c);
  const Result f64 = run_case(c, c.fused, d, DType::f64);
  if (c.finite)
    for (const Tensor& t : f64.outputs)
      for (std::int64_t i = 0; i < t.numel(); ++i) REQUIRE(std::isfinite(t.at(i)));

  if (c.composed) {
    Result composed;
    {
      KernelPolicy policy;
      policy.composed = true;  // composed all the way down
      const KernelChoice choice(policy);
      composed = run_case(c, c.composed, d, DType::f64);
    }
    compare(c, f64, composed, c.composed_tolerance, "composed");
  }
  gradcheck(c, d, f64);

  Pool::instance().set_poison(true);
  check_kernels(op, c, d, f64, DType::f32, c.f32_tolerance);
  if (c.bf16) check_kernels(op, c, d, f64, DType::bf16, c.bf16_tolerance);
  const Result once = run_case(c, c.fused, d, DType::f32);
  compare_bits(c, once, run_case(c, c.fused, d, DType::f32), "repeat");
  const int threads = num_threads();
  set_num_threads(1);
  const Result one_thread = run_case(c, c.fused, d, DType::f32);
  set_num_threads(3);
  const Result three_threads = run_case(c, c.fused, d, DType::f32);
  set_num_threads(threads);
  if (c.thread_tolerance == 0) compare_bits(c, one_thread, three_threads, "threads");
  else compare(c, one_thread, three_threads, c.thread_tolerance, "threads");
  Pool::instance().set_poison(false);

  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i].differentiable) continue;
    const Result alone = run_case(c, c.fused, d, DType::f64, i);
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

void run(const OpCensus& op) {
  REQUIRE_MESSAGE(!op.cases.empty(), op.op << " has no cases");
  for (const Case& c : op.cases) {
    INFO("op ", op.op, ", case ", c.name);
    run_checks(op, c);
  }
  for (const ErrorCase& e : op.errors) {
    INFO("op ", op.op, ", error case ", e.name);
    std::string message;
    try {
      e.call();
    } catch (const Error& error) {
      message = error.what();
    }
    CHECK_MESSAGE(message.find(e.words) != std::string::npos, "message: \"" << message << "\", expected words: " << e.words);
    CHECK(message.find('\n') == std::string::npos);
  }
}

}  // namespace blalm::census
