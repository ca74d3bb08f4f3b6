#include <doctest/doctest.h>

#include <cmath>

#include "tests/engine/ops/census_list.h"

namespace blalm::census {
namespace {

Tensor some_targets(std::int64_t rows, std::int64_t vocabulary, bool ignore_some) {
  std::vector<std::int32_t> t;
  for (std::int64_t i = 0; i < rows; ++i)
    t.push_back(ignore_some && i % 3 == 1 ? ops::kIgnore : static_cast<std::int32_t>((i * 7 + 3) % vocabulary));
  return Tensor::from_ids({rows}, t);
}

}  // namespace

std::vector<OpCensus> cross_entropy() {
  OpCensus op{"cross_entropy"};
  const auto add = [&](const std::string& name, std::int64_t rows, std::int64_t vocabulary, bool ignore,
                       double spread = 1) {
    Case c;
    c.name = name;
    c.inputs = {{"logits", {rows, vocabulary}, normal(0, spread)}};
    const Tensor targets = some_targets(rows, vocabulary, ignore);
    c.fused = one([targets](auto in) { return ops::cross_entropy(in[0], targets); });
    c.composed = one([targets](auto in) { return ops::composed::cross_entropy(in[0], targets); });
    c.bf16 = true;
    op.cases.push_back(c);
  };
  add("one row", 1, 5, false);
  add("vocabulary of one", 3, 1, false);
  add("some ignored", 7, 65, true);
  add("many", 150, 97, true);
  add("large logits", 6, 33, false, 200);
  add("no rows", 0, 5, false);

  OpCensus head{"linear_cross_entropy"};
  const auto add_head = [&](const std::string& name, std::int64_t rows, std::int64_t d, std::int64_t vocabulary,
                            ops::HeadLossOptions o, Fill x = normal(), Fill weight = normal(0, 0.5)) {
    Case c;
    c.name = name;
    c.inputs = {{"x", {rows, d}, x}, {"weight", {vocabulary, d}, as_gate(weight)}};
    const Tensor targets = some_targets(rows, vocabulary, true);
    c.fused = one([=](auto in) { return ops::linear_cross_entropy(in[0], in[1], targets, o); });
    c.composed = one([=](auto in) { return ops::composed::linear_cross_entropy(in[0], in[1], targets, o); });
    c.bf16 = true;
    head.cases.push_back(c);
  };
  add_head("one chunk", 5, 6, 11, {});
  add_head("chunks of 1", 7, 6, 11, {.rows = 1});
  add_head("last chunk short", 65, 16, 33, {.rows = 16});
  add_head("soft cap", 20, 8, 13, {.soft_cap = 3, .rows = 8});
  add_head("odd sizes", 65, 33, 97, {});
  add_head("a vocabulary of several slabs", 40, 20, 1100, {});
  // Logits whose powers f32 does not hold.
  add_head("large logits", 40, 6, 65, {}, normal(0, 60));
  add_head("small logits", 40, 6, 65, {}, normal(4, 0.5), normal(-5, 2));
  add_head("large logits under a soft cap", 20, 6, 40, {.soft_cap = 80}, normal(0, 30));
  add_head("no rows", 0, 4, 6, {});

  // The losses of single tokens: no gradient.
  OpCensus tokens{"token_losses"};
  Case c;
  c.name = "with chunks";
  c.inputs = {{"x", {7, 6}, normal(), false}, {"weight", {11, 6}, normal(), false}};
  const Tensor targets = some_targets(7, 11, true);
  c.fused = one([=](auto in) { return Var(ops::token_losses(in[0].value(), in[1].value(), targets, {.rows = 3})); });
  tokens.cases.push_back(c);

  const auto target = [](std::int32_t t) { return Tensor::full({2}, t, DType::i32); };
  op.errors = {{"too large",
                [=] {
                  ops::cross_entropy(f32({2, 5}), target(5));
                },
                "[cross_entropy] expected targets in [-1, 5), got 5"},
               {"too small",
                [=] {
                  ops::cross_entropy(f32({2, 5}), target(-2));
                },
                "got -2"},
               {"rows",
                [=] {
                  ops::cross_entropy(f32({3, 5}), target(1));
                },
                "expected targets of [3]"}};
  head.errors = {{"width",
                  [=] {
                    ops::linear_cross_entropy(f32({2, 5}), f32({7, 4}), target(1));
                  },
                  "expected x [N, 4] for weight f32[7, 4]"}};
  return {op, head, tokens};
}

TEST_CASE("cross-entropy of uniform logits is the logarithm of the vocabulary") {
  const Tensor targets = some_targets(6, 50, false);
  CHECK(ops::cross_entropy(Tensor::full({6, 50}, 2.5), targets).value().item() == doctest::Approx(std::log(50.0)));
}

TEST_CASE("all targets ignored: the loss is 0 and so is the gradient") {
  Tape tape;
  const Var x = tape.leaf(Tensor::full({3, 4}, 1.0));
  const Var loss = ops::cross_entropy(x, Tensor::full({3}, ops::kIgnore, DType::i32));
  CHECK(loss.value().item() == 0);
  tape.backward(loss);
  for (std::int64_t i = 0; i < 12; ++i) CHECK(tape.grad(x).at(i) == 0);
}

TEST_CASE("token losses average to the cross-entropy") {
  Rng rng(3);
  const Tensor x = Tensor::empty({9, 4}), w = Tensor::empty({13, 4}), targets = some_targets(9, 13, true);
  rng.fill_normal(x, 0, 1);
  rng.fill_normal(w, 0, 1);
  const Tensor losses = ops::token_losses(x, w, targets);
  double sum = 0;
  for (std::int64_t i = 0; i < 9; ++i) sum += losses.at(i);
  CHECK(losses.at(1) == 0);
  CHECK(sum / 6 == doctest::Approx(ops::linear_cross_entropy(x, w, targets).value().item()).epsilon(1e-6));
}

}  // namespace blalm::census
