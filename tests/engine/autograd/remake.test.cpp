// Results that the tape has made again instead of keeping them.
#include <doctest/doctest.h>

#include <cstring>

#include "engine/core/rng.h"
#include "engine/ops/ops.h"
#include "tests/support/tensors.h"

namespace blalm {
namespace {

struct Layer {
  Tensor gate = Tensor::empty({5, 16}), up = Tensor::empty({5, 16}), weight = Tensor::empty({7, 16});

  Layer() {
    Rng rng(9);
    for (const Tensor& t : {gate, up, weight}) rng.fill_normal(t, 0, 1);
  }

  struct Result {
    std::vector<Tensor> gradients;
    std::int64_t saved;  // bytes that the product's node holds
  };
  // `before` and `after` see the result of swiglu before and after a product saves it.
  template <class Before, class After>
  Result run(Before&& before, After&& after) const {
    Tape tape;
    const Var g = tape.leaf(gate, "gate"), u = tape.leaf(up, "up"), w = tape.leaf(weight, "weight");
    const Var h = ops::swiglu(g, u);
    before(h.value());
    const Var y = ops::linear(h, w);
    const std::int64_t saved = tape.nodes().back().saved_bytes;
    after(h.value());
    tape.backward(ops::sum_all(ops::square(y)));
    return {{tape.grad(g).clone(), tape.grad(u).clone(), tape.grad(w).clone()}, saved};
  }
};

}  // namespace

TEST_CASE("a result that can be made again is not kept, and gradients have the same bits") {
  const Layer layer;
  const auto nothing = [](const Tensor&) {};
  // A write, even of nothing, and the numbers may not be those that would be made again.
  const auto kept = layer.run([](const Tensor& h) { h.mutable_raw(); }, nothing);
  const auto again = layer.run(nothing, nothing);
  CHECK(kept.saved == layer.weight.bytes() + layer.gate.bytes());
  CHECK(again.saved == layer.weight.bytes());
  CHECK(test::same_bits(kept.gradients, again.gradients));
}

TEST_CASE("a result that was changed before it was saved is kept as it is") {
  const Layer layer;
  const auto nothing = [](const Tensor&) {};
  const auto zeroed = layer.run([](const Tensor& h) { h.fill(0); }, nothing);
  for (std::int64_t i = 0; i < layer.weight.numel(); ++i) CHECK(zeroed.gradients[2].at(i) == 0);
}

TEST_CASE("a later write to a result that is made again harms nothing") {
  const Layer layer;
  const auto nothing = [](const Tensor&) {};
  CHECK(test::same_bits(layer.run(nothing, nothing).gradients, layer.run(nothing, [](const Tensor& h) { h.fill(3); }).gradients));
}

TEST_CASE("what is made again goes when its maker's backward has run") {
  const Layer layer;
  Tape tape;
  const Var h = ops::swiglu(tape.leaf(layer.gate, "gate"), tape.leaf(layer.up, "up"));
  const Var loss = ops::sum_all(ops::square(ops::linear(h, tape.leaf(layer.weight, "weight"))));
  int seen = 0;
  tape.on_backward([&](const Tape&, const Node& node, std::span<const Tensor>) {
    if (node.op == "linear") CHECK(node.saved[0].tensor.defined());
    seen += node.op == "linear";
  });
  tape.backward(loss);
  CHECK(seen == 1);
  for (const Node& node : tape.nodes()) CHECK_FALSE(node.remade.defined());
}

}  // namespace blalm
