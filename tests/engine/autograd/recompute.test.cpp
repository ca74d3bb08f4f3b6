#include "engine/autograd/recompute.h"

#include <doctest/doctest.h>

#include <cstring>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "tests/support/tensors.h"

namespace blalm {
namespace {

struct Network {
  Parameter w1{.name = "w1", .value = Tensor::empty({16, 8}), .grad = {}};
  Parameter w2{.name = "w2", .value = Tensor::empty({8, 16}), .grad = {}};
  Tensor x = Tensor::empty({12, 8});

  Network() {
    Rng rng(4);
    for (const Tensor& t : {w1.value, w2.value, x}) rng.fill_normal(t, 0, 0.5);
  }

  Var segment(Tape& tape, const Var& in) {
    const Scope scope(tape, "block");
    const Var hidden = ops::dropout(tape, ops::silu(ops::linear(in, tape.parameter(w1))), 0.25);
    return ops::add(in, ops::linear(hidden, tape.parameter(w2)));
  }

  // Loss of three segments; gradients of x, w1, w2. Bytes saved at the end of the forward pass in `saved`.
  std::vector<Tensor> gradients(bool again, std::int64_t& saved) {
    w1.zero_grad();
    w2.zero_grad();
    Tape tape(7);
    const Var leaf = tape.leaf(x, "x");
    Var h = leaf;
    for (int i = 0; i < 3; ++i) {
      const Var inputs[] = {h};
      h = again ? recompute(tape, inputs, [this](Tape& t, std::span<const Var> in) { return segment(t, in[0]); })
                : segment(tape, h);
    }
    const Var loss = ops::sum_all(ops::square(h));
    saved = tape.saved_bytes();
    tape.backward(loss);
    return {tape.grad(leaf).clone(), w1.grad.clone(), w2.grad.clone(), loss.value().clone()};
  }
};

}  // namespace

TEST_CASE("recompute gives the same bits, dropout included, and saves less") {
  Network network;
  std::int64_t saved_plain = 0, saved_again = 0;
  const auto plain = network.gradients(false, saved_plain), again = network.gradients(true, saved_again);
  CHECK(test::same_bits(plain, again));
  CHECK(saved_again * 2 < saved_plain);
}

TEST_CASE("recompute works when only its parameters need gradients") {
  Network network;
  Tape tape;
  const Var inputs[] = {Var(network.x)};
  const Var y = recompute(tape, inputs, [&](Tape& t, std::span<const Var> in) { return network.segment(t, in[0]); });
  REQUIRE(y.requires_grad());
  tape.backward(ops::sum_all(y));
  CHECK(network.w1.has_grad);
}

TEST_CASE("tape hooks reach inside, with scopes") {
  Network network;
  Tape tape;
  std::string scopes;
  tape.on_backward([&](const Tape& t, const Node& n, std::span<const Tensor>) {
    scopes += t.scope_name(n.scope) + ":" + std::string(n.op) + " ";
  });
  const Var inputs[] = {tape.leaf(network.x, "x")};
  tape.backward(ops::sum_all(
      recompute(tape, inputs, [&](Tape& t, std::span<const Var> in) { return network.segment(t, in[0]); })));
  CHECK(scopes.find("block:silu") != std::string::npos);
}

TEST_CASE("a segment may have several outputs, of which only some are used") {
  Network network;
  const auto parts = [&](Tape& t, std::span<const Var> in) {
    const std::int64_t sizes[] = {3, 5};
    std::vector<Var> out = ops::split(network.segment(t, in[0]), sizes, 1);
    out.push_back(ops::silu(ops::linear(in[0], t.parameter(network.w1))));
    return out;
  };
  for (const unsigned used : {1U, 2U, 4U, 5U, 7U}) {
    std::vector<Tensor> plain, again;
    for (const bool recomputed : {false, true}) {
      network.w1.zero_grad();
      network.w2.zero_grad();
      Tape tape(7);
      const Var inputs[] = {tape.leaf(network.x, "x")};
      const std::vector<Var> out = recomputed ? recompute(tape, inputs, parts) : parts(tape, inputs);
      REQUIRE(out.size() == 3);
      Var loss = Tensor::scalar(0);
      for (std::size_t i = 0; i < 3; ++i)
        if (((used >> i) & 1U) != 0) loss = ops::add(loss, ops::sum_all(ops::square(out[i])));
      tape.backward(loss);
      for (const Tensor& t : {tape.grad(inputs[0]), network.w1.grad, loss.value()})
        (recomputed ? again : plain).push_back(t.clone());
    }
    CHECK(test::same_bits(plain, again));
  }
}

TEST_CASE("a segment that gives another number of outputs the second time is an error") {
  Tape tape;
  const Var inputs[] = {tape.leaf(Tensor::full({3}, 1.0), "x")};
  int runs = 0;
  const std::vector<Var> y = recompute(tape, inputs, [&](Tape&, std::span<const Var> in) {
    return std::vector<Var>(static_cast<std::size_t>(2 - runs++), in[0]);
  });
  CHECK_THROWS_WITH_AS(tape.backward(ops::sum_all(y[1])), "[recompute] expected 2 outputs, as in the first run, got 1",
                       ConfigError);
}

TEST_CASE("hooks that a segment sets on its values and nodes work, once, also in a segment inside") {
  for (const bool nested : {false, true}) {
    CAPTURE(nested);
    Network network;
    std::string log;
    const auto inner = [&](Tape& t, std::span<const Var> in) {
      const Var h = ops::scale(in[0], 3), y = ops::scale(h, 5);
      t.on_gradient(h, [&](Tensor& g) {
        log += "value:" + std::to_string(g.at(0)) + " ";
        g = Tensor::full(g.shape(), 2);
      });
      t.on_node(h, [&](const Tape&, const Node& n, std::span<const Tensor> g) {
        log += std::string(n.op) + ":" + std::to_string(g[0].at(0)) + " ";
      });
      t.on_gradient(in[0], [&](Tensor& g) { log += "input:" + std::to_string(g.at(0)) + " "; });
      return y;
    };
    Tape tape;
    const Var inputs[] = {tape.leaf(network.x, "x")};
    const Var y =
        !nested ? recompute(tape, inputs, inner)
                : recompute(tape, inputs, [&](Tape& t, std::span<const Var> in) { return recompute(t, in, inner); });
    CHECK(log.empty());
    tape.backward(ops::sum_all(y));
    CHECK(log == "value:5.000000 scale:6.000000 input:6.000000 ");
    CHECK(tape.grad(inputs[0]).at(0) == 6);
  }
}

TEST_CASE("a parameter's hooks wait for the whole gradient, wherever they were set") {
  Parameter p{.name = "w", .value = Tensor::full({2}, 3.0), .grad = {}};
  std::string log;
  const auto segment = [&](Tape& t, std::span<const Var> in) {
    const Var w = t.parameter(p);
    t.on_gradient(w, [&](Tensor& g) { log += "inside:" + std::to_string(g.at(0)) + " "; });
    return ops::mul(in[0], w);
  };
  Tape tape;
  const Var w = tape.parameter(p);
  tape.on_gradient(w, [&](Tensor& g) { log += "outside:" + std::to_string(g.at(0)) + " "; });
  const Var inputs[] = {ops::scale(w, 1)};
  tape.backward(ops::sum_all(recompute(tape, inputs, segment)));  // w², the derivative by either factor is 3
  CHECK(log == "outside:6.000000 inside:6.000000 ");

  // Only the segment knows the parameter.
  log.clear();
  p.zero_grad();
  Tape other;
  const Var leaf[] = {other.leaf(Tensor::full({2}, 1.0), "x")};
  const Var first[] = {recompute(other, leaf, segment)};
  other.backward(ops::sum_all(recompute(other, first, segment)));
  CHECK(log == "inside:6.000000 inside:6.000000 ");
}

TEST_CASE("a value that is captured instead of passed in is refused") {
  Tape tape;
  const Var x = tape.leaf(Tensor::full({3}, 1.0), "x"), captured = tape.leaf(Tensor::full({3}, 2.0), "captured");
  const Var inputs[] = {x};
  const Var y = recompute(tape, inputs, [&](Tape&, std::span<const Var> in) { return ops::mul(in[0], captured); });
  CHECK_THROWS_WITH_AS(tape.backward(ops::sum_all(y)), doctest::Contains("pass values into recompute() as inputs"),
                       ConfigError);
}

}  // namespace blalm
