// The three forms of the mLSTM against each other, at the sizes and tolerances of spec §6, and what only they can show:
// hand-over of the state, gates beyond the soft cap, causality, limits that are known in closed form.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <span>

#include "engine/core/rng.h"
#include "engine/kernels/kernel.h"
#include "engine/ops/ops.h"
#include "tests/engine/ops/mlstm_support.h"
#include "tests/support/tensors.h"

namespace blalm {
namespace {

using ops::MlstmForm;
using test::kForms;
using test::name_of;
using test::relative_error;
using ops::MlstmOptions;
using ops::MlstmState;

constexpr const char* kNames[] = {"q", "k", "v", "i", "f"};

using Inputs = std::array<Tensor, 5>;  // q, k, v, i, f

struct Problem {
  Inputs inputs;  // f64
  Tensor dh;
};

// q, k, v ~ N(0, 1); i ~ N(i_mean, 1), f ~ N(f_mean, 1); all numbers that `exact` holds exactly.
Problem draw_problem(const Shape& q, std::int64_t E, double i_mean = 0, double f_mean = 0, DType exact = DType::f32) {
  Rng rng(5);
  const auto normal = [&](const Shape& shape, double mean) {
    Tensor t = Tensor::empty(shape, DType::f64);
    rng.fill_normal(t, mean, 1);
    return t.to(exact).to(DType::f64);
  };
  const Shape v = q.with(3, E), gates = q.without(3);
  return {{normal(q, 0), normal(q, 0), normal(v, 0), normal(gates, i_mean), normal(gates, f_mean)}, normal(v, 0)};
}

struct MlstmResult {
  Tensor h;
  Inputs gradients;
};

MlstmResult run_form(const Problem& p, const MlstmOptions& options, DType dtype = DType::f64) {
  Tape tape;
  std::array<Var, 5> x;
  for (std::size_t j = 0; j < 5; ++j) x[j] = tape.leaf(p.inputs[j].to(j < 3 ? dtype : compute_dtype(dtype)), kNames[j]);
  const Var h = ops::mlstm(x[0], x[1], x[2], x[3], x[4], options);
  const Tensor dh = p.dh.to(dtype);
  tape.backward(std::span(&h, 1), std::span(&dh, 1));
  MlstmResult r{h.value(), {}};
  for (std::size_t j = 0; j < 5; ++j) r.gradients[j] = tape.grad(x[j]);
  return r;
}

double norm(const Tensor& x) { return std::sqrt(ops::sum_all(ops::square(x.to(DType::f64))).value().item()); }

void compare(const std::string& what, const MlstmResult& got, const MlstmResult& want, double forward, double gradients) {
  const double error = relative_error(got.h, want.h);
  CHECK_MESSAGE(error <= forward, fmt::format("{}: h differs by {:.1e} (allowed {:.0e})", what, error, forward));
  for (std::size_t j = 0; j < 5; ++j) {
    const double e = relative_error(got.gradients[j], want.gradients[j]);
    CHECK_MESSAGE(e <= gradients,
                  fmt::format("{}: d{} differs by {:.1e} (allowed {:.0e})", what, kNames[j], e, gradients));
  }
}

// Largest difference after the head norm, which rescales every position (spec §6).
double difference_after_head_norm(const Tensor& got, const Tensor& want) {
  const Tensor weight = Tensor::full({want.dim(2), want.dim(3)}, 1, DType::f64);
  const Tensor a = ops::composed::head_norm(got.to(DType::f64), weight, 1e-6).value();
  const Tensor b = ops::composed::head_norm(want.to(DType::f64), weight, 1e-6).value();
  double largest = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) largest = std::max(largest, std::abs(a.at(i) - b.at(i)));
  return largest;
}

struct Gates {
  const char* name;
  double i_mean, f_mean;
};
constexpr Gates kGates[] = {{"N(0, 1)", 0, 0}, {"i - 10", -10, 0}, {"f + 4.5", 0, 4.5}, {"i - 10, f + 4.5", -10, 4.5}};

void forms_agree(std::int64_t T, DType dtype, double forward, double gradients, double eps, double after_norm = 0,
                 std::span<const MlstmForm> forms = kForms, const KernelPolicy& policy = {}) {
  for (const Gates& gates : kGates) {
    const Problem p =
        draw_problem({1, T, 1, 64}, 64, gates.i_mean, gates.f_mean, dtype == DType::bf16 ? DType::bf16 : DType::f32);
    const MlstmResult want = run_form(p, {.eps = eps, .form = MlstmForm::parallel});
    for (const MlstmForm form : forms) {
      const KernelChoice choice(policy);
      const MlstmResult got = run_form(p, {.eps = eps, .form = form}, dtype);
      const std::string what = fmt::format("{} {} T={}, {}", name_of(dtype), name_of(form), T, gates.name);
      compare(what, got, want, forward, gradients);
      if (after_norm == 0) continue;
      const double error = difference_after_head_norm(got.h, want.h);
      CHECK_MESSAGE(error <= after_norm, fmt::format("{}: normed h differs by {:.1e}", what, error));
    }
  }
}

}  // namespace

TEST_CASE("mlstm: the forms agree to rounding in f64 when eps is 0") {
  for (const std::int64_t T : {64, 150, 512}) forms_agree(T, DType::f64, 1e-12, 1e-10, 0);
}
TEST_CASE("mlstm: with eps the forms agree to O(eps)") {
  for (const std::int64_t T : {64, 150, 512}) forms_agree(T, DType::f64, 1e-6, 1e-6, 1e-6);
}
TEST_CASE("mlstm: f32 is close to f64 in every form") { forms_agree(512, DType::f32, 1e-5, 1e-3, 1e-6, 1e-4); }
TEST_CASE("mlstm: bf16 inputs are computed in f32") {
  const MlstmForm others[] = {MlstmForm::recurrent, MlstmForm::parallel}, chunkwise[] = {MlstmForm::chunkwise};
  forms_agree(150, DType::bf16, 2e-2, 3e-2, 1e-6, 0, others);
  forms_agree(150, DType::bf16, 2e-2, 3e-2, 1e-6, 0, chunkwise,
              {.forced = {{"mlstm", "eigen:chunkwise"}, {"mlstm_backward", "eigen:chunkwise"}}});
}
// Spec §6: products of bf16 operands.
TEST_CASE("mlstm: bf16 products in the chunkwise form") {
  const MlstmForm chunkwise[] = {MlstmForm::chunkwise};
  forms_agree(150, DType::bf16, 5e-2, 5e-2, 1e-6, 0, chunkwise);
}

TEST_SUITE("slow") {
  TEST_CASE("mlstm: the forms agree in f64 at T=2048") {
    forms_agree(2048, DType::f64, 1e-12, 1e-10, 0);
    forms_agree(2048, DType::f64, 1e-6, 1e-6, 1e-6);
  }
  TEST_CASE("mlstm: f32 is close to f64 at T=2048") { forms_agree(2048, DType::f32, 1e-5, 1e-3, 1e-6, 1e-4); }
}

TEST_CASE("mlstm: the size of a chunk does not matter") {
  const Problem p = draw_problem({2, 100, 4, 8}, 12);
  const MlstmResult want = run_form(p, {.eps = 0, .form = MlstmForm::parallel});
  for (const std::int64_t chunk : {1, 7, 16, 64, 99, 100, 101, 1000})
    for (const DType dtype : {DType::f64, DType::f32}) {
      const bool f64 = dtype == DType::f64;
      compare(fmt::format("{} chunk {}", name_of(dtype), chunk),
              run_form(p, {.eps = 0, .chunk = chunk, .form = MlstmForm::chunkwise}, dtype), want, f64 ? 1e-12 : 1e-5,
              f64 ? 1e-10 : 1e-3);
    }
}

TEST_CASE("mlstm: grouped key heads are repeated key heads") {
  Problem p = draw_problem({2, 70, 6, 8}, 5);
  Problem grouped = p;  // heads 0-2 read key head 0, heads 3-5 read key head 1
  for (const std::size_t j : {1UL, 2UL}) {
    grouped.inputs[j] = draw_problem({2, 70, 2, 8}, 5).inputs[j];
    p.inputs[j] = ops::repeat_heads(grouped.inputs[j], 3).value();
  }
  for (const MlstmForm form : kForms) {
    const MlstmResult want = run_form(p, {.eps = 0, .form = form}), got = run_form(grouped, {.eps = 0, .form = form});
    CHECK(relative_error(got.h, want.h) < 1e-14);
    for (const std::size_t j : {0UL, 3UL, 4UL}) CHECK(relative_error(got.gradients[j], want.gradients[j]) < 1e-13);
    for (const std::size_t j : {1UL, 2UL}) {
      const Shape apart{2, 70, 2, 3, p.inputs[j].dim(3)};
      const Tensor sum = ops::sum(want.gradients[j].reshape(apart), 3).value();
      CHECK(relative_error(got.gradients[j], sum) < 1e-13);
    }
  }
}

TEST_CASE("mlstm: a gradient asked for alone has the bits of one asked for with the others") {
  const Problem p = draw_problem({2, 100, 4, 8}, 12);
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const MlstmForm form : kForms) {
      const MlstmOptions options{.chunk = 16, .form = form};
      const MlstmResult all = run_form(p, options, dtype);
      for (std::size_t wanted = 0; wanted < 5; ++wanted) {
        Tape tape;
        std::array<Var, 5> x;
        for (std::size_t j = 0; j < 5; ++j) x[j] = p.inputs[j].to(j < 3 ? dtype : DType::f32);
        const Var leaf = x[wanted] = tape.leaf(x[wanted].value());
        const Var h = ops::mlstm(x[0], x[1], x[2], x[3], x[4], options);
        const Tensor dh = p.dh.to(dtype);
        tape.backward(std::span(&h, 1), std::span(&dh, 1));
        INFO(name_of(dtype), ", ", name_of(form), ", d", kNames[wanted]);
        CHECK(relative_error(tape.grad(leaf), all.gradients[wanted]) == 0);
      }
    }
}

TEST_CASE("mlstm: gates far beyond the soft cap give finite results in f32") {
  for (const MlstmForm form : kForms)
    for (const double i : {-100.0, -30.0, 15.0, 100.0})
      for (const double f : {-100.0, -15.0, 0.0, 15.0, 100.0}) {
        Problem p = draw_problem({1, 70, 1, 4}, 4);
        p.inputs[0].fill(0.5);  // keeps a_t away from 0, where h may be as large as it likes
        p.inputs[1].fill(0.5);
        p.inputs[3].fill(i);
        p.inputs[4].fill(f);
        const MlstmResult want = run_form(p, {.form = form}), got = run_form(p, {.form = form}, DType::f32);
        INFO(name_of(form), ", i=", i, ", f=", f);
        // Under e^-80 h is nothing, beside whatever it is added to or normalised with.
        CHECK((norm(want.h) < 1e-30 ? norm(got.h) < 1e-30 : relative_error(got.h, want.h) < 1e-4));
        for (const Tensor& g : got.gradients)
          for (std::int64_t at = 0; at < g.numel(); ++at) CHECK(std::isfinite(g.at(at)));
      }
}

TEST_CASE("mlstm: zero queries give zeros, not 0/0, whatever the gates") {
  for (const MlstmForm form : kForms)
    for (const double i : {-100.0, 0.0, 200.0}) {
      Problem p = draw_problem({1, 9, 1, 4}, 4);
      p.inputs[0].fill(0);
      p.inputs[3].fill(i);
      const MlstmResult r = run_form(p, {.eps = 0, .form = form}, DType::f32);
      for (std::int64_t at = 0; at < r.h.numel(); ++at) CHECK(r.h.at(at) == 0);
      for (const Tensor& g : r.gradients)
        for (std::int64_t at = 0; at < g.numel(); ++at) CHECK(std::isfinite(g.at(at)));
    }
}

TEST_CASE("mlstm: a position does not see later ones") {
  const Problem p = draw_problem({1, 130, 2, 8}, 8);
  for (const MlstmForm form : kForms)
    for (const std::int64_t t : {1, 2, 15, 16, 63, 64, 65, 129}) {
      Problem changed = p;
      for (Tensor& x : changed.inputs) {
        x = x.clone();
        const std::int64_t row = x.numel() / x.dim(1);
        for (std::int64_t j = t * row; j < (t + 1) * row; ++j) x.mutable_data<double>()[j] += 1;
      }
      const Tensor before = run_form(p, {.form = form}, DType::f32).h, after = run_form(changed, {.form = form}, DType::f32).h;
      bool equal = true, differs = false;
      for (std::int64_t j = 0; j < before.numel(); ++j) {
        if (j < t * 2 * 8)
          equal = equal && before.at(j) == after.at(j);
        else
          differs = differs || before.at(j) != after.at(j);
      }
      CHECK_MESSAGE(equal, name_of(form) << ": position " << t << " is seen earlier");
      CHECK(differs);
    }
}

TEST_CASE("mlstm: without forgetting and with unit inputs it is linear attention") {
  Problem p = draw_problem({1, 50, 1, 8}, 4);
  p.inputs[3].fill(0);
  p.inputs[4].fill(40);  // σ(40) is 1 in f64
  for (const MlstmForm form : kForms) {
    const Tensor h = run_form(p, {.scale = 1, .eps = 0, .form = form}).h;
    const double *q = p.inputs[0].data<double>(), *k = p.inputs[1].data<double>(), *v = p.inputs[2].data<double>();
    double largest = 0;
    for (std::int64_t t = 0; t < 50; ++t) {
      double a = 0, sum[4] = {};
      for (std::int64_t s = 0; s <= t; ++s) {
        double score = 0;
        for (std::int64_t d = 0; d < 8; ++d) score += q[t * 8 + d] * k[s * 8 + d];
        a += score;
        for (std::int64_t e = 0; e < 4; ++e) sum[e] += score * v[s * 4 + e];
      }
      for (std::int64_t e = 0; e < 4; ++e)
        largest = std::max(largest, std::abs(h.at(t * 4 + e) - sum[e] / std::max(std::abs(a), 1.0)));
    }
    CHECK(largest < 1e-12);
  }
}

TEST_CASE("mlstm_continue: what is handed on is the whole past") {
  // f32, 300 positions: a prompt of `prompt` by chunks, the rest step by step, against the whole sequence at once.
  const Problem p = draw_problem({2, 300, 4, 16}, 8);
  Inputs x = p.inputs;
  for (Tensor& t : x) t = t.to(DType::f32);
  const Tensor want = run_form(p, {.form = MlstmForm::chunkwise}).h;
  for (const std::int64_t prompt : {1, 64, 100, 299}) {
    MlstmState state;
    std::vector<Var> parts;
    for (std::int64_t begin = 0, end = prompt; begin < 300; begin = end, end = begin + 1) {
      Inputs part;
      for (std::size_t j = 0; j < 5; ++j) part[j] = ops::slice(x[j], 1, begin, end).value();
      parts.emplace_back(ops::mlstm_continue(part[0], part[1], part[2], part[3], part[4], state));
    }
    CHECK(relative_error(ops::concat(parts, 1).value(), want) < 1e-5);
  }
}

TEST_CASE("mlstm_continue: a copied state is a snapshot, an uncopied one is updated in place") {
  const Problem p = draw_problem({1, 1, 2, 4}, 4);
  Inputs x = p.inputs;
  for (Tensor& t : x) t = t.to(DType::f32);
  const auto step = [&](MlstmState& state) { return ops::mlstm_continue(x[0], x[1], x[2], x[3], x[4], state); };
  MlstmState state;
  step(state);
  const MlstmState snapshot = state;
  const double kept = snapshot.C.at(0);
  const Tensor first = step(state);
  CHECK(snapshot.C.at(0) == kept);
  CHECK(!state.C.shares_storage_with(snapshot.C));
  MlstmState again = snapshot;
  CHECK(relative_error(step(again), first) == 0);
  const void* place = state.C.raw();
  step(state);
  CHECK(state.C.raw() == place);
}

}  // namespace blalm
