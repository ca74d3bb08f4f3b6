#include <doctest/doctest.h>
#include <fmt/format.h>

#include "engine/autograd/modes.h"
#include "engine/core/error.h"
#include "tests/engine/ops/census_list.h"

namespace blalm::census {
namespace {

Case& add(OpCensus& op, const std::string& name, const std::vector<Shape>& shapes, Call call) {
  Case c;
  c.name = name;
  for (const Shape& s : shapes) c.inputs.push_back({fmt::format("x{}", c.inputs.size()), s});
  c.fused = std::move(call);
  c.bf16 = true;
  return op.cases.emplace_back(c);
}

OpCensus reshape() {
  OpCensus op{"reshape"};
  const auto to = [&](const Shape& from, const Shape& shape) {
    add(op, from.str() + " to " + shape.str(), {from}, one([shape](auto in) { return ops::reshape(in[0], shape); }));
  };
  to({2, 3, 4}, {6, 4});
  to({65, 3}, {3, 65});
  to({1}, {});
  to({0, 3}, {3, 0, 7});
  // The view and what it shows are both used: their gradients add up in one buffer.
  add(op, "beside its source", {{4, 6}}, one([](auto in) {
        return ops::add(ops::square(in[0]), ops::reshape(ops::reshape(in[0], {24}), {4, 6}));
      }));
  op.errors = {{"count",
                [] {
                  ops::reshape(f32({2, 3}), {7});
                },
                "[reshape] expected a shape of 6 elements, got [7] for f32[2, 3]"},
               {"undefined", [] { ops::reshape(Var(), {7}); }, "[reshape] expected a tensor for x"}};
  return op;
}

OpCensus transpose() {
  OpCensus op{"transpose"};
  const auto by = [&](const Shape& shape, std::vector<int> axes) {
    add(op, fmt::format("{} by {}", shape.str(), fmt::join(axes, " ")), {shape},
        one([axes](auto in) { return ops::transpose(in[0], axes); }));
  };
  by({}, {});
  by({5}, {0});
  by({3, 4}, {1, 0});
  by({65, 33}, {-1, -2});
  by({150, 100}, {1, 0});
  by({2, 63, 3, 5}, {0, 2, 1, 3});   // heads before positions
  by({2, 64, 4, 16}, {0, 2, 3, 1});  // and transposed
  by({4, 3, 1, 5, 2}, {4, 2, 1, 0, 3});
  by({2, 3, 2, 2, 3, 2}, {5, 3, 1, 0, 2, 4});
  by({0, 3, 2}, {2, 0, 1});
  op.errors = {{"twice",
                [] {
                  ops::transpose(f32({2, 3}), {0, 0});
                },
                "[transpose] expected each of the 2 axes of f32[2, 3] once, got [0, 0]"},
               {"too few",
                [] {
                  ops::transpose(f32({2, 3}), {0});
                },
                "each of the 2 axes"},
               {"out of range",
                [] {
                  ops::transpose(f32({2, 3}), {0, 2});
                },
                "each of the 2 axes"}};
  return op;
}

OpCensus concat() {
  OpCensus op{"concat"};
  const auto along = [&](int axis, const std::vector<Shape>& shapes) {
    add(op, fmt::format("axis {} from {}", axis, shapes[0].str()), shapes,
        one([axis](auto in) { return ops::concat(in, axis); }));
  };
  along(0, {{3, 4}});
  along(0, {{3, 4}, {1, 4}, {2, 4}});
  along(1, {{3, 4}, {3, 0}, {3, 5}});
  along(-1, {{2, 65, 7}, {2, 65, 9}});
  along(1, {{2, 100, 30}, {2, 50, 30}});
  along(1, {{0, 2}, {0, 3}});
  add(op, "one part twice", {{2, 3}, {2, 1}}, one([](auto in) {
        const Var parts[] = {in[0], in[1], in[0]};
        return ops::concat(parts, 1);
      }));
  op.errors = {{"none", [] { ops::concat({}, 0); }, "[concat] expected at least one part, got none"},
               {"another axis differs",
                [] {
                  const Var parts[] = {f32({2, 3}), f32({3, 3})};
                  ops::concat(parts, 1);
                },
                "[concat] expected parts that differ along axis 1 alone, got f32[2, 3] and f32[3, 3]"},
               {"dtypes",
                [] {
                  const Var parts[] = {f32({2}), Tensor::zeros({2}, DType::bf16)};
                  ops::concat(parts, 0);
                },
                "expected all parts in f32"}};
  return op;
}

OpCensus slice() {
  OpCensus op{"slice"};
  const auto of = [&](const Shape& shape, int axis, std::int64_t begin, std::int64_t end) {
    add(op, fmt::format("{} axis {} from {}", shape.str(), axis, begin), {shape},
        one([=](auto in) { return ops::slice(in[0], axis, begin, end); }));
  };
  of({5, 3}, 0, 1, 4);
  of({3, 65, 7}, 1, 63, 65);
  of({2, 150, 33}, -1, 0, 32);
  of({3, 4}, 1, 2, 2);
  of({3, 0}, 1, 0, 0);
  add(op, "two of one, overlapping", {{3, 6}},
      one([](auto in) { return ops::mul(ops::slice(in[0], 1, 0, 4), ops::slice(in[0], 1, 2, 6)); }));
  op.errors = {{"past the end",
                [] {
                  ops::slice(f32({2, 3}), 1, 1, 4);
                },
                "[slice] expected a range inside axis 1 of f32[2, 3], got [1, 4)"},
               {"backwards",
                [] {
                  ops::slice(f32({2, 3}), 1, 2, 1);
                },
                "got [2, 1)"},
               {"negative",
                [] {
                  ops::slice(f32({2, 3}), 1, -1, 1);
                },
                "got [-1, 1)"}};
  return op;
}

OpCensus split() {
  OpCensus op{"split"};
  const auto of = [&](const Shape& shape, int axis, std::vector<std::int64_t> sizes) {
    add(op, fmt::format("{} axis {}", shape.str(), axis), {shape},
        [=](auto in) { return ops::split(in[0], sizes, axis); });
  };
  of({6, 3}, 0, {1, 2, 3});
  of({2, 65, 96}, -1, {32, 33, 31});
  of({3, 7, 2}, 1, {0, 7});
  of({4, 5}, 1, {5});
  of({0, 5}, 1, {2, 3});
  add(op, "only one piece used", {{3, 7}}, [](auto in) {
    const std::int64_t sizes[] = {2, 4, 1};
    return std::vector<Var>{ops::split(in[0], sizes, 1)[1]};
  });
  add(op, "beside its source", {{3, 4}}, [](auto in) {
    const std::int64_t sizes[] = {1, 3};
    std::vector<Var> out = ops::split(in[0], sizes, 1);
    out[0] = ops::square(in[0]);
    return out;
  });
  op.errors = {{"sum",
                [] {
                  const std::int64_t sizes[] = {1, 3};
                  ops::split(f32({2, 3}), sizes, 1);
                },
                "[split] expected sizes that make up axis 1 of f32[2, 3], got [1, 3]"},
               {"negative",
                [] {
                  const std::int64_t sizes[] = {4, -1};
                  ops::split(f32({2, 3}), sizes, 1);
                },
                "got [4, -1]"}};
  return op;
}

OpCensus repeat_heads() {
  OpCensus op{"repeat_heads"};
  const auto of = [&](const Shape& shape, std::int64_t times) {
    Case& c = add(op, fmt::format("{} times {}", shape.str(), times), {shape},
                  one([times](auto in) { return ops::repeat_heads(in[0], times); }));
    // [B, T, H, D] + 0 of [B, T, H, times, D], by broadcasting.
    c.composed = one([times](auto in) {
      const Shape s = in[0].shape(), folded = {s[0], s[1], s[2] * times, s[3]};
      const Var zeros = Tensor::zeros({s[0], s[1], s[2], times, s[3]}, in[0].dtype());
      return ops::reshape(ops::add(ops::reshape(in[0], s.with_inserted(3, 1)), zeros), folded);
    });
  };
  of({2, 3, 2, 5}, 1);
  of({1, 65, 3, 7}, 2);
  of({2, 64, 2, 16}, 6);
  of({2, 0, 2, 4}, 3);
  op.errors = {{"times",
                [] {
                  ops::repeat_heads(f32({1, 2, 3, 4}), 0);
                },
                "[repeat_heads] expected at least 1 repetition, got 0"},
               {"axes",
                [] {
                  ops::repeat_heads(f32({2, 3, 4}), 2);
                },
                "[repeat_heads] expected x with 4 axes"}};
  return op;
}

// Elements 0, 1, 2, … so that each says where it came from.
Tensor counting(const Shape& shape, DType dtype) {
  Tensor t = Tensor::empty(shape, DType::i32);
  for (std::int64_t i = 0; i < t.numel(); ++i) t.mutable_data<std::int32_t>()[i] = static_cast<std::int32_t>(i);
  return t.to(dtype);
}

}  // namespace

std::vector<OpCensus> shape() { return {reshape(), transpose(), concat(), slice(), split(), repeat_heads()}; }

TEST_CASE("transpose puts every element where its index says, in every dtype") {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f64, DType::c128, DType::i32}) {
    // bf16 counts exactly to 256.
    const Shape shape = dtype == DType::bf16 ? Shape{3, 4, 2, 5} : Shape{3, 37, 2, 41};
    const Tensor x = counting(shape, dtype);
    for (const std::vector<int>& axes :
         {std::vector{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 2, 1, 3}, {1, 3, 0, 2}, {0, 2, 3, 1}, {2, 3, 0, 1}}) {
      const Tensor y = ops::transpose(x, axes).value();
      std::int64_t wrong = 0, flat = 0;
      for (std::int64_t a = 0; a < y.dim(0); ++a)
        for (std::int64_t b = 0; b < y.dim(1); ++b)
          for (std::int64_t c = 0; c < y.dim(2); ++c)
            for (std::int64_t d = 0; d < y.dim(3); ++d, ++flat) {
              const std::int64_t at[] = {a, b, c, d};
              std::int64_t from[4];
              for (std::size_t i = 0; i < 4; ++i) from[axes[i]] = at[i];
              const std::int64_t source = ((from[0] * shape[1] + from[1]) * shape[2] + from[2]) * shape[3] + from[3];
              wrong += y.at(flat) != x.at(source);
            }
      CHECK(wrong == 0);
    }
  }
}

TEST_CASE("slice, split and concat take and put the right elements") {
  const Tensor x = counting({2, 5, 3}, DType::i32);
  const Tensor middle = ops::slice(x, 1, 1, 3).value();
  REQUIRE(middle.shape() == Shape{2, 2, 3});
  const double expected[] = {3, 4, 5, 6, 7, 8, 18, 19, 20, 21, 22, 23};
  for (std::int64_t i = 0; i < 12; ++i) CHECK(middle.at(i) == expected[i]);
  for (const int axis : {0, 1, 2}) {
    const std::int64_t n = x.dim(axis), sizes[] = {1, n - 1, 0};
    const std::vector<Var> parts = ops::split(x, sizes, axis);
    REQUIRE(parts.size() == 3);
    CHECK(parts[1].dim(axis) == n - 1);
    const Tensor again = ops::concat(parts, axis).value();
    REQUIRE(again.shape() == x.shape());
    std::int64_t wrong = 0;
    for (std::int64_t i = 0; i < x.numel(); ++i) wrong += again.at(i) != x.at(i);
    CHECK(wrong == 0);
  }
}

TEST_CASE("views of a parameter taken in inference mode leave it trainable") {
  const Tensor weight = f32({4, 6});
  {
    const InferenceMode inference;
    CHECK(ops::reshape(weight, {24}).value().shares_storage_with(weight));
    CHECK(ops::slice(weight, 0, 1, 3).value().shares_storage_with(weight));
  }
  Tape tape;
  const Var leaf = tape.leaf(weight);
  tape.backward(ops::sum_all(ops::square(leaf)));  // would refuse to save a tensor made in inference mode
  CHECK(tape.grad(leaf).at(0) == 1);
}

}  // namespace blalm::census
