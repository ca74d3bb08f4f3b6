#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>

#include "engine/core/error.h"
#include "engine/core/rng.h"
#include "tests/engine/ops/census_list.h"
#include "tests/support/tensors.h"

namespace blalm::census {

std::vector<OpCensus> mlstm_gate() {
  OpCensus op{"mlstm_gate"};
  const auto add = [&](const std::string& name, const Shape& shape, double cap = 15, Fill fill = normal()) {
    Case c;
    c.name = name;
    c.inputs = {{"x", shape, fill}, {"bias", {shape.dim(-1)}, as_gate(normal())}};
    c.fused = one([cap](auto in) { return ops::mlstm_gate(in[0], in[1], cap); });
    c.composed = one([cap](auto in) { return ops::composed::mlstm_gate(in[0], in[1], cap); });
    c.bf16 = true;
    op.cases.push_back(c);
  };
  for (const std::int64_t T : {1, 63, 64, 65, 150, 300}) add(fmt::format("heads of 3, T = {}", T), {2, T, 3});
  add("vector", {5});
  add("one head", {40, 1});
  add("at its cap", {20, 4}, 15, normal(0, 30));
  add("a small cap", {20, 4}, 0.5);
  add("no rows", {0, 4});
  add("no heads", {4, 0});
  op.errors = {
      {"bias",
       [] {
         ops::mlstm_gate(f32({2, 4}), f32({3}), 15);
       },
       "[mlstm_gate] expected bias of [4], got f32[3]"},
      {"scalar", [] { ops::mlstm_gate(f32({}), f32({1}), 15); }, "[mlstm_gate] expected x with at least one axis"},
      {"bias in bf16", [] { ops::mlstm_gate(f32({2}), Tensor::zeros({2}, DType::bf16), 15); }, "expected bias in f32"},
      {"cap of 0", [] { ops::mlstm_gate(f32({2}), f32({2}), 0); }, "[mlstm_gate] expected a cap above 0"},
  };
  return {op};
}

namespace {

Tensor drawn(const Shape& shape, std::uint64_t stream) {
  Tensor x = Tensor::empty(shape);
  Rng(5, stream).fill_normal(x, 0, 1);
  return x;
}

// Of the input gates' bias, when a head norm follows the mLSTM. The values are those of f32 in either dtype.
Tensor bias_gradient(DType dtype, ops::MlstmForm form) {
  const std::int64_t B = 2, T = 90, H = 4, D = 16;
  const auto input = [&](const Shape& shape, std::uint64_t stream) { return Var(drawn(shape, stream).to(dtype)); };
  Tape tape;
  const Var bias = tape.leaf(drawn({H}, 1).to(dtype), "bias");
  const Var i = ops::mlstm_gate(input({B, T, H}, 2), bias, 15);
  const Var q = input({B, T, H, D}, 3), k = input({B, T, H, D}, 4), v = input({B, T, H, D}, 5);
  const Var h = ops::mlstm(q, k, v, i, input({B, T, H}, 6), {.form = form});
  tape.backward(ops::sum_all(ops::mul(ops::head_norm(h, input({H, D}, 7), 1e-6), input({B, T, H, D}, 8))));
  return tape.grad(bias);
}

}  // namespace

TEST_CASE("what a head norm leaves of the gradient of the input gates' bias is not lost in f32") {
  using enum ops::MlstmForm;
  const Tensor exact = bias_gradient(DType::f64, parallel);
  for (const ops::MlstmForm form : {recurrent, parallel, chunkwise}) {
    const Tensor got = bias_gradient(DType::f32, form);
    CHECK(test::relative_error(got, exact) < 1e-5);
  }
}

}  // namespace blalm::census
