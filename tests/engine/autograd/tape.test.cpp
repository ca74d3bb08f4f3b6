#include "engine/autograd/tape.h"

#include <doctest/doctest.h>

#include <thread>

#include "engine/autograd/modes.h"
#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace blalm {
namespace {

Tensor values(std::initializer_list<float> v) {
  return Tensor::from<float>({static_cast<std::int64_t>(v.size())}, std::span<const float>(v.begin(), v.size()));
}

}  // namespace

TEST_CASE("the gradient of x² + 3x at 2 is 7") {
  Tape tape;
  const Var x = tape.leaf(Tensor::scalar(2), "x");
  tape.backward(ops::add(ops::square(x), ops::scale(x, 3)));
  CHECK(tape.grad(x).item() == 7);
}

TEST_CASE("a value used many times gets the sum of its gradients, without spoiling shared buffers") {
  Tape tape;
  const Var x = tape.leaf(values({1, 2}), "x");
  const Var y = ops::add(x, x);  // both sides get the same buffer
  const Var z = ops::add(y, ops::add(y, x));
  tape.retain_grad(y);
  tape.backward(ops::sum_all(z));
  CHECK(tape.grad(x).at(0) == 5);
  CHECK(tape.grad(y).at(1) == 2);
}

TEST_CASE("nodes know op, scope, place and implementation") {
  Tape tape;
  const Var x = tape.leaf(values({1, 2}), "x");
  {
    const Scope outer(tape, "layers.3");
    const Scope inner(tape, "mlp");
    ops::silu(x);
  }
  ops::exp(x);
  const int line = __LINE__ - 1;
  REQUIRE(tape.nodes().size() == 2);
  const Node& first = tape.nodes()[0];
  CHECK(first.op == "silu");
  CHECK(tape.scope_name(first.scope) == "layers.3.mlp");
  CHECK(first.saved_bytes == 8);
  CHECK(first.implementation == "reference");
  CHECK(tape.scope_name(tape.nodes()[1].scope).empty());
  CHECK(static_cast<int>(tape.nodes()[1].where.line()) == line);
  CHECK(std::string(tape.nodes()[1].where.file_name()) == "tests/engine/autograd/tape.test.cpp");
}

TEST_CASE("constants put nothing on the tape") {
  Tape tape;
  const Var x = tape.leaf(values({1}), "x");
  ops::exp(x.detach());
  ops::exp(values({1}));
  CHECK(tape.nodes().empty());
  {
    const NoGrad guard(tape);
    CHECK_FALSE(ops::exp(x).requires_grad());
  }
  CHECK(tape.nodes().empty());
  CHECK(ops::exp(x).requires_grad());
}

TEST_CASE("saved tensors are released on the way back") {
  Tape tape;
  const Var x = tape.leaf(Tensor::full({1000}, 1.0), "x");
  Var y = x;
  for (int i = 0; i < 5; ++i) y = ops::tanh(y);
  const Var loss = ops::sum_all(y);
  y = Var();
  CHECK(tape.saved_bytes() >= 5 * 4000);
  std::int64_t seen = tape.saved_bytes();
  tape.on_backward([&](const Tape& t, const Node& node, std::span<const Tensor>) {
    CHECK(t.saved_bytes() <= seen);
    if (node.op == "tanh") seen = t.saved_bytes();
  });
  tape.backward(loss);
  CHECK(tape.saved_bytes() == 0);
}

TEST_CASE("a write to a saved tensor is an error that names both places") {
  Tape tape;
  const Tensor w = values({1, 2});
  const Var x = tape.leaf(values({3, 4}), "x");
  const Var y = ops::mul(x, w);
  w.fill(9);
  const std::string line = std::to_string(__LINE__ - 1), earlier = std::to_string(__LINE__ - 2);
  std::string message;
  try {
    tape.backward(ops::sum_all(y));
  } catch (const NumericError& e) {
    message = e.what();
  }
  CHECK(message == "[mul] a tensor saved for backward at tests/engine/autograd/tape.test.cpp:" + earlier +
                       " was overwritten at tests/engine/autograd/tape.test.cpp:" + line +
                       " (clone() it before writing)");
}

TEST_CASE("parameters collect gradients over several tapes until they are zeroed") {
  Parameter p{.name = "w", .value = values({2, 3}), .grad = {}};
  for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
    Tape tape;
    const Var w = tape.parameter(p), again = tape.parameter(p);
    CHECK(w.id() == again.id());
    tape.backward(ops::sum_all(ops::mul(w, again)));
  }
  CHECK(p.grad.at(0) == 8);
  p.zero_grad();
  Tape tape;
  tape.backward(ops::sum_all(tape.parameter(p)));
  CHECK(p.grad.at(0) == 1);
}

TEST_CASE("an embedding tied to the head gets the sum of both gradients") {
  Parameter table{.name = "embed", .role = Role::embedding, .value = Tensor::full({5, 2}, 0.5), .grad = {}};
  const Tensor ids = Tensor::from_ids({2}, std::vector<std::int32_t>{1, 1});
  const auto gradient = [&](bool embed, bool head) {
    table.zero_grad();
    Tape tape;
    const Var w = tape.parameter(table);
    const Var x = ops::embedding(ids, embed ? w : w.detach());
    tape.backward(ops::linear_cross_entropy(x, head ? w : w.detach(), ids));
    return table.grad.clone();
  };
  const Tensor both = gradient(true, true), one = gradient(true, false), other = gradient(false, true);
  for (std::int64_t i = 0; i < 10; ++i) CHECK(both.at(i) == doctest::Approx(one.at(i) + other.at(i)));
}

TEST_CASE("gradient hooks see the whole gradient and may replace it") {
  Tape tape;
  const Var x = tape.leaf(values({1, 2}), "x");
  const Var y = ops::scale(x, 2);
  const Var loss = ops::sum_all(ops::add(y, y));
  double seen = 0;
  tape.on_gradient(y, [&](Tensor& g) {
    seen = g.at(0);
    g = Tensor::full(g.shape(), 10);
  });
  int leaf_calls = 0;
  tape.on_gradient(x, [&](Tensor& g) {
    ++leaf_calls;
    CHECK(g.at(0) == 20);
  });
  tape.backward(loss);
  CHECK(seen == 2);
  CHECK(leaf_calls == 1);
  CHECK(tape.grad(x).at(1) == 20);
}

TEST_CASE("a gradient hook of a parameter runs when this sweep reached it, not for what it held before") {
  Parameter used{.name = "used", .value = values({2, 3}), .grad = {}};
  Parameter idle{.name = "idle", .value = values({4, 5}), .grad = {}};
  int calls_used = 0, calls_idle = 0;
  const auto sweep = [&](bool both) {
    Tape tape;
    const Var u = tape.parameter(used), i = tape.parameter(idle);
    tape.on_gradient(u, [&](Tensor&) { ++calls_used; });
    tape.on_gradient(i, [&](Tensor&) { ++calls_idle; });
    tape.backward(ops::sum_all(both ? ops::mul(u, i) : u));
  };
  sweep(true);
  CHECK(calls_idle == 1);
  idle.zero_grad();  // its buffer stays
  sweep(false);
  CHECK(calls_idle == 1);
  idle.has_grad = true;  // as a micro-batch before this one left it
  sweep(false);
  CHECK(calls_idle == 1);
  CHECK(calls_used == 3);
}

TEST_CASE("node hooks see what their node gave, not what others gave before") {
  Parameter p{.name = "w", .value = values({2, 3}), .grad = {}};
  double own = 0, whole = 0;
  for (int micro_batch = 1; micro_batch <= 3; ++micro_batch) {
    Tape tape;
    const Var w = tape.parameter(p);
    const Var a = ops::scale(w, 5), b = ops::scale(w, 7);
    const Var ab = ops::add(a, b);
    std::vector<double> seen;
    const auto note = [&](const Tape&, const Node&, std::span<const Tensor> g) { seen.push_back(g[0].at(0)); };
    tape.on_node(a, note);
    tape.on_node(b, note);
    tape.on_gradient(w, [&](Tensor& g) { whole = g.at(0); });
    tape.backward(ops::sum_all(ops::mul(ab, ab)));
    own = 2 * 12 * 2;  // d(12 w)² / d(12 w) at w = 2
    CHECK(seen == std::vector<double>{7 * own, 5 * own});
    CHECK(whole == micro_batch * 12 * own);
    CHECK(p.grad.at(0) == whole);
  }
}

TEST_CASE("a node hook needs an operation's output") {
  Tape tape;
  const Var x = tape.leaf(values({1}), "x");
  CHECK_THROWS_WITH_AS(tape.on_node(x, [](const Tape&, const Node&, std::span<const Tensor>) {}),
                       "[tape.on_node] expected the output of an operation, got a leaf (on_gradient() takes leaves)",
                       ConfigError);
}

TEST_CASE("looking on changes no gradient: one input twice, shared buffers, every slot") {
  Rng rng(5);
  Parameter w{.name = "w", .value = Tensor::empty({6, 6}), .grad = {}};
  const Tensor data = Tensor::empty({4, 6});
  rng.fill_normal(w.value, 0, 1);
  rng.fill_normal(data, 0, 1);
  const auto gradients = [&](bool look) {
    w.zero_grad();
    Tape tape;
    if (look) tape.on_backward([](const Tape&, const Node&, std::span<const Tensor>) {});
    const Var x = tape.leaf(data, "x"), m = tape.parameter(w);
    const Var y = ops::linear(ops::add(x, ops::linear(ops::mul(x, x), m)), m);
    const Var parts[] = {y, y, ops::slice(x, 1, 1, 4)};
    tape.backward(ops::sum_all(ops::square(ops::concat(parts, 1))));
    return std::pair{tape.grad(x).clone(), w.grad.clone()};
  };
  const auto [dx, dw] = gradients(false);
  const auto [dx_seen, dw_seen] = gradients(true);
  for (std::int64_t i = 0; i < dx.numel(); ++i) CHECK(dx_seen.at(i) == doctest::Approx(dx.at(i)).epsilon(1e-5));
  for (std::int64_t i = 0; i < dw.numel(); ++i) CHECK(dw_seen.at(i) == doctest::Approx(dw.at(i)).epsilon(1e-5));
}

TEST_CASE("tape hooks see every node, node hooks one, in order") {
  Tape tape;
  std::string log;
  tape.on_forward([&](const Tape&, const Node& n, std::span<const Tensor> out) {
    log += "f:" + std::string(n.op) + out[0].shape().str() + " ";
  });
  tape.on_backward([&](const Tape&, const Node& n, std::span<const Tensor> g) {
    log += "b:" + std::string(n.op) + (g[0].defined() ? "+ " : " ");
  });
  const Var x = tape.leaf(values({1, 2}), "x");
  const Var y = ops::exp(x);
  tape.on_node(0,
               [&](const Tape&, const Node&, std::span<const Tensor> g) { log += "node:" + g[0].shape().str() + " "; });
  tape.backward(ops::sum_all(y));
  CHECK(log == "f:exp[2] f:sum_all[] b:sum_all+ b:exp+ node:[2] ");
}

TEST_CASE("inference mode records nothing, and its tensors cannot slip into training") {
  Tape tape;
  const Var x = tape.leaf(values({1, 2}), "x");
  Tensor made;
  {
    const InferenceMode guard;
    CHECK_FALSE(ops::exp(x).requires_grad());
    made = ops::exp(x).value();
  }
  CHECK(tape.nodes().empty());
  CHECK_THROWS_WITH_AS(ops::mul(x, made), doctest::Contains("[mul] cannot save a tensor made in inference mode"),
                       ConfigError);
  CHECK(tape.nodes().empty());  // not even half a node
  CHECK_NOTHROW(ops::mul(x, made.clone()));
}

TEST_CASE("misuse of a tape is an error, not a wrong number") {
  Tape tape, other;
  const Var x = tape.leaf(values({1, 2}), "x"), z = other.leaf(values({1, 2}), "z");
  CHECK_THROWS_WITH_AS(ops::add(x, z), doctest::Contains("[add] expected inputs of one tape"), ConfigError);
  CHECK_THROWS_WITH_AS(
      tape.backward(x),
      "[backward] expected a loss of one element, got f32[2] (reduce it, or give a gradient for each output)",
      ShapeError);
  CHECK_THROWS_AS(tape.backward(Var(Tensor::scalar(1))), ConfigError);
  const Var loss = ops::sum_all(x);
  tape.backward(loss);
  CHECK_THROWS_WITH_AS(tape.backward(loss), doctest::Contains("has run backward already"), ConfigError);
  tape.clear();
  CHECK_THROWS_WITH_AS(ops::exp(x), doctest::Contains("one made before tape.clear()"), ConfigError);
  CHECK_THROWS_AS(tape.leaf(Tensor::zeros({2}, DType::i32)), ShapeError);
}

TEST_CASE("a cleared tape serves the next step, without new allocations") {
  Tape tape;
  Parameter p{.name = "w", .value = Tensor::full({64, 64}, 0.1), .grad = {}};
  const Tensor x = Tensor::full({32, 64}, 1.0);
  const auto step = [&] {
    tape.clear();
    p.zero_grad();
    tape.backward(ops::sum_all(ops::silu(ops::linear(x, tape.parameter(p)))));
  };
  step();
  step();
  const auto before = Pool::instance().stats().system_allocations;
  for (int i = 0; i < 3; ++i) step();
  CHECK(Pool::instance().stats().system_allocations == before);
}

TEST_CASE("two tapes work on two threads at once") {
  const auto work = [](double scale, double& result) {
    for (int i = 0; i < 50; ++i) {
      Tape tape;
      const Var x = tape.leaf(Tensor::full({100, 100}, scale), "x");
      tape.backward(ops::sum_all(ops::matmul(x, x)));
      result = tape.grad(x).at(0);
    }
  };
  double a = 0, b = 0;
  std::thread first(work, 1.0, std::ref(a)), second(work, 2.0, std::ref(b));
  first.join();
  second.join();
  CHECK(a == doctest::Approx(200));
  CHECK(b == doctest::Approx(400));
}

}  // namespace blalm
