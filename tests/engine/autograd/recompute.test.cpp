#include "blalm/autograd/recompute.h"

#include <doctest/doctest.h>

#include <cstring>

#include "blalm/core/error.h"
#include "blalm/ops/ops.h"

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
  for (std::size_t i = 0; i < plain.size(); ++i)
    CHECK(std::memcmp(plain[i].raw(), again[i].raw(), static_cast<std::size_t>(plain[i].bytes())) == 0);
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
  tape.on_backward([&](const Tape& t, const Node& n, std::span<const Tensor>) { scopes += t.scope_name(n.scope) + ":" + std::string(n.op) + " "; });
  const Var inputs[] = {tape.leaf(network.x, "x")};
  tape.backward(ops::sum_all(recompute(tape, inputs, [&](Tape& t, std::span<const Var> in) { return network.segment(t, in[0]); })));
  CHECK(scopes.find("block:silu") != std::string::npos);
}

TEST_CASE("a value that is captured instead of passed in is refused") {
  Tape tape;
  const Var x = tape.leaf(Tensor::full({3}, 1.0), "x"), captured = tape.leaf(Tensor::full({3}, 2.0), "captured");
  const Var inputs[] = {x};
  const Var y = recompute(tape, inputs, [&](Tape&, std::span<const Var> in) { return ops::mul(in[0], captured); });
  CHECK_THROWS_WITH_AS(tape.backward(ops::sum_all(y)), doctest::Contains("pass values into recompute() as inputs"), ConfigError);
}

}  // namespace blalm
