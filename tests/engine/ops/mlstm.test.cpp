#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "engine/core/error.h"
#include "tests/engine/ops/census_list.h"
#include "tests/engine/ops/mlstm_support.h"

namespace blalm::census {
namespace {

using ops::MlstmForm;
using test::kForms;
using test::name_of;
using ops::MlstmOptions;
using ops::MlstmState;

struct MlstmSizes {
  std::int64_t B = 2, T = 65, H = 2, G = 2, D = 6, E = 4;
};

struct GateFills {
  Fill i = normal(), f = normal();
};

const GateFills kUsual{};
const GateFills kSmallInput{normal(-10), normal()};            // the default initialisation of the input gate
const GateFills kRemembering{normal(), normal(4.5)};           // and of the forget gate
const GateFills kDefault{normal(-10), normal(4.5)};            // both
const GateFills kExtreme{uniform(-15, 15), uniform(-15, 15)};  // the whole range of the soft cap
const GateFills kEqual{normal(3, 0), normal(3, 0)};
const GateFills kLargest{normal(15, 0), normal(15, 0)}, kSmallest{normal(-15, 0), normal(-15, 0)};

// Where the input gate is large the floor exp(-m) is tiny, so that some a_t come near zero and their rounding error is
// divided by them: f32 then differs by more than its usual 1e-5 from f64, in every form alike (golden files allow
// 1e-3).
constexpr double kNearZeroNormaliser = 1e-3;

std::vector<Input> inputs_of(const MlstmSizes& z, const GateFills& gates) {
  return {{"q", {z.B, z.T, z.H, z.D}},
          {"k", {z.B, z.T, z.G, z.D}},
          {"v", {z.B, z.T, z.G, z.E}},
          {"i", {z.B, z.T, z.H}, as_gate(gates.i)},
          {"f", {z.B, z.T, z.H}, as_gate(gates.f)}};
}

Case make_case(const std::string& name, const MlstmSizes& z, const GateFills& gates, const MlstmOptions& options) {
  Case c;
  c.name = name;
  c.inputs = inputs_of(z, gates);
  c.fused = one([options](auto in) { return ops::mlstm(in[0], in[1], in[2], in[3], in[4], options); });
  c.composed = one([options](auto in) { return ops::composed::mlstm(in[0], in[1], in[2], in[3], in[4], options); });
  // With eps the forms agree up to O(eps e^m), each having its own stabiliser m; without it to rounding (spec §5.3,
  // §6).
  c.composed_tolerance = options.eps == 0 ? 1e-10 : 1e-6;
  return c;
}

OpCensus mlstm_census() {
  OpCensus op{"mlstm"};
  const auto add = [&](const std::string& name, const MlstmSizes& z, const GateFills& gates, MlstmOptions options) -> Case& {
    return op.cases.emplace_back(make_case(name, z, gates, options));
  };
  // Every form meets every length; eps = 0 is the tight comparison.
  for (const MlstmForm form : kForms)
    for (const std::int64_t T : {0, 1, 63, 64, 65, 100, 150}) {
      const std::string name = std::string(name_of(form)) + ", T=" + std::to_string(T);
      add(name, {.B = T == 100 ? 1 : 2, .T = T}, kUsual, {.eps = 0, .form = form});
    }
  for (const std::int64_t chunk : {1, 16, 256})
    add("chunk " + std::to_string(chunk), {.T = 100}, kUsual, {.eps = 0, .chunk = chunk, .form = MlstmForm::chunkwise});
  for (const MlstmForm form : kForms) {
    const std::string name = name_of(form);
    const MlstmOptions options{.chunk = 16, .form = form};
    Case& plain = add(name + ", eps", {.T = 40}, kUsual, options);
    plain.bf16 = true;
    add(name + ", grouped", {.T = 40, .H = 6, .G = 2}, kUsual, {.eps = 0, .chunk = 16, .form = form}).bf16 = true;
    for (const std::int64_t groups : {4, 2}) {
      if (form != MlstmForm::chunkwise && groups == 4)
        continue;  // it alone runs on tiles: one is enough for the others
      Case& tiles = add(name + ", heads of whole tiles in " + std::to_string(groups) + " groups",
                        {.T = 150, .H = 4, .G = groups, .D = 64, .E = 32}, kDefault,
                        {.eps = 0, .chunk = groups == 4 ? 64 : 40, .form = form});
      tiles.bf16 = true;
      tiles.bf16_tolerance = 5e-2;  // spec §6, products of bf16 operands
    }
    add(name + ", small input gate", {.T = 40}, kSmallInput, options);
    add(name + ", remembering", {.T = 40}, kRemembering, options);
    add(name + ", extreme gates", {.T = 40}, kExtreme, options).f32_tolerance = kNearZeroNormaliser;
    add(name + ", equal gates", {.T = 40}, kEqual, options).f32_tolerance = 1e-4;
    add(name + ", largest gates", {.B = 1, .T = 20}, kLargest, {.eps = 0, .chunk = 8, .form = form}).f32_tolerance =
        kNearZeroNormaliser;
    // All is forgotten at once: df is 3e-7 of the sums that it is the difference of, and has no digits to compare.
    add(name + ", smallest gates", {.B = 1, .T = 20}, kSmallest, {.eps = 0, .chunk = 8, .form = form})
        .inputs[4]
        .differentiable = false;
    add(name + ", scale", {.B = 1, .T = 20, .D = 3, .E = 5}, kUsual, {.scale = 1, .eps = 0, .chunk = 8, .form = form});
    add(name + ", no sequences", {.B = 0, .T = 20}, kUsual, options);
    add(name + ", no values", {.T = 20, .E = 0}, kUsual, options);
    add(name + ", one feature", {.T = 5, .H = 1, .G = 1, .D = 1, .E = 1}, kUsual, options);
  }
  add("automatic", {.T = 40}, kUsual, {});
  add("automatic, one step", {.T = 1}, kUsual, {});

  const auto call = [](const Shape& q, const Shape& k, const Shape& v, const Shape& gates, MlstmOptions options = {}) {
    return [=] { ops::mlstm(f32(q), f32(k), f32(v), f32(gates), f32(gates), options); };
  };
  const Shape q{2, 5, 4, 3}, gates{2, 5, 4};
  op.errors = {
      {"heads", call(q, {2, 5, 3, 3}, q, gates),
       "[mlstm] expected a number of key heads that divides 4, got f32[2, 5, 3, 3]"},
      {"no key heads", call(q, {2, 5, 0, 3}, q, gates), "expected a number of key heads that divides 4"},
      {"features", call(q, {2, 5, 4, 2}, q, gates), "expected k of [2, 5, 4, 3], got f32[2, 5, 4, 2]"},
      {"length", call(q, {2, 6, 4, 3}, q, gates), "expected k of [2, 5, 4, 3]"},
      {"values", call(q, q, {2, 5, 2, 3}, gates), "expected v of [2, 5, 4, 3], got f32[2, 5, 2, 3]"},
      {"gates", call(q, q, q, {2, 5}), "expected i of [2, 5, 4], got f32[2, 5]"},
      {"rank", call({2, 5, 12}, q, q, gates), "expected q with 4 axes"},
      {"chunk", call(q, q, q, gates, {.chunk = 0}), "expected a chunk of 1 or more positions, got 0"},
      {"eps", call(q, q, q, gates, {.eps = -1}), "expected eps of 0 or more"},
      {"gate dtype",
       [=] {
         const Tensor x = Tensor::zeros(q, DType::bf16), gate = Tensor::zeros(gates, DType::bf16);
         ops::mlstm(x, x, x, gate, gate);
       },
       "expected i in f32, got bf16[2, 5, 4]"},
  };
  return op;
}

Tensor positions(const Tensor& x, std::int64_t begin, std::int64_t end) { return ops::slice(x, 1, begin, end).value(); }

Tensor continued(std::span<const Var> in, std::int64_t begin, std::int64_t end, MlstmState& state,
                 const MlstmOptions& options) {
  Tensor part[5];
  for (std::size_t j = 0; j < 5; ++j) part[j] = positions(in[j].value(), begin, end);
  return ops::mlstm_continue(part[0], part[1], part[2], part[3], part[4], state, options);
}

// Pieces that end at `cuts`, one after the other with the state handed on.
Call in_pieces(std::vector<std::int64_t> cuts, MlstmOptions options) {
  return one([=](std::span<const Var> in) {
    MlstmState state;
    std::vector<Var> parts;
    std::int64_t begin = 0;
    for (const std::int64_t end : cuts) {
      parts.emplace_back(continued(in, begin, end, state, options));
      begin = end;
    }
    return ops::concat(parts, 1);
  });
}

OpCensus continue_census() {
  OpCensus op{"mlstm_continue"};
  const auto add = [&](const std::string& name, const MlstmSizes& z, std::vector<std::int64_t> cuts, MlstmOptions options) {
    Case c = make_case(name, z, kUsual, options);
    for (Input& in : c.inputs) in.differentiable = false;
    c.fused = in_pieces(std::move(cuts), options);
    c.bf16 = true;
    op.cases.push_back(c);
  };
  std::vector<std::int64_t> steps;
  for (std::int64_t t = 1; t <= 30; ++t) steps.push_back(t);
  const std::vector<std::int64_t> prompt_then_steps(steps.begin() + 20, steps.end());  // 21, 22, …, 30
  for (const double eps : {0.0, 1e-6}) {
    const std::string suffix = eps == 0 ? "" : ", eps";
    add("whole" + suffix, {.T = 30}, {30}, {.eps = eps, .chunk = 8});
    add("steps" + suffix, {.T = 30}, steps, {.eps = eps});
    add("prompt, then steps" + suffix, {.T = 30}, prompt_then_steps, {.eps = eps, .chunk = 8});
  }
  add("prompts in any order of sizes", {.T = 150, .H = 4, .G = 2}, {3, 67, 67, 131, 150}, {.eps = 0, .chunk = 16});
  add("recurrent prompt", {.T = 30}, {13, 30}, {.eps = 0, .form = MlstmForm::recurrent});
  add("nothing", {.T = 0}, {0}, {});

  const Tensor q = f32({1, 1, 2, 3}), gate = f32({1, 1, 2});
  const auto step = [=](MlstmState state, MlstmOptions options = {}) {
    return [=]() mutable { ops::mlstm_continue(q, q, q, gate, gate, state, options); };
  };
  op.errors = {
      {"parallel", step({}, {.form = MlstmForm::parallel}),
       "[mlstm_continue] expected form recurrent, chunkwise or automatic"},
      {"batch", step({f32({2, 2, 3, 3}), f32({2, 2, 3}), f32({2, 2})}),
       "expected state.C of [1, 2, 3, 3], got f32[2, 2, 3, 3]"},
      {"partial", step({f32({1, 2, 3, 3}), {}, f32({1, 2})}), "expected state.n of [1, 2, 3], got an undefined tensor"},
      {"dtype", step({Tensor::zeros({1, 2, 3, 3}, DType::bf16), f32({1, 2, 3}), f32({1, 2})}), "expected state in f32"},
  };
  return op;
}

}  // namespace

std::vector<OpCensus> mlstm() { return {mlstm_census(), continue_census()}; }

}  // namespace blalm::census
