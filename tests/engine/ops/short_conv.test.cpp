#include <doctest/doctest.h>
#include <fmt/format.h>

#include "tests/engine/ops/census_list.h"

namespace blalm::census {

std::vector<OpCensus> short_conv() {
  OpCensus op{"short_conv"};
  const auto add = [&](const std::string& name, const Shape& shape, std::int64_t K, bool silu = true,
                       Fill fill = normal()) {
    Case c;
    c.name = name;
    c.inputs = {{"x", shape, fill}, {"weight", {shape[2], K}, as_gate(normal(0, 0.5))}};
    c.fused = one([silu](auto in) { return ops::short_conv(in[0], in[1], silu); });
    c.composed = one([silu](auto in) { return ops::composed::short_conv(in[0], in[1], silu); });
    c.bf16 = true;
    op.cases.push_back(c);
  };
  for (const std::int64_t batch : {1, 2})
    for (const std::int64_t T : {1, 2, 3, 63, 64, 65, 100, 150})
      add(fmt::format("batch {}, T = {}", batch, T), {batch, T, 9}, 4);
  add("T = 127, 128, 129: the ends of a block", {1, 127, 3}, 4);
  add("T = 128", {1, 128, 3}, 4);
  add("T = 129", {1, 129, 3}, 4);
  add("T = 257, K = 64: taps across blocks", {1, 257, 3}, 64);
  add("K = 1", {2, 65, 7}, 1);
  add("K = 2, no SiLU", {1, 65, 48}, 2, false);
  add("K = 64 longer than T", {2, 10, 5}, 64);
  add("wider than a strip", {1, 20, 300}, 4);
  add("one channel", {3, 33, 1}, 3);
  add("large values", {1, 20, 16}, 4, true, normal(0, 100));
  add("no positions", {2, 0, 4}, 4);
  add("no sequences", {0, 5, 4}, 4, false);
  op.errors = {{"channels",
                [] {
                  ops::short_conv(f32({1, 5, 4}), f32({3, 4}));
                },
                "[short_conv] expected weight of [4, K] with K of 1 or more, got f32[3, 4]"},
               {"no taps",
                [] {
                  ops::short_conv(f32({1, 5, 4}), f32({4, 0}));
                },
                "with K of 1 or more"},
               {"axes",
                [] {
                  ops::short_conv(f32({5, 4}), f32({4, 4}));
                },
                "expected x with 3 axes"},
               {"weight in bf16",
                [] {
                  ops::short_conv(f32({1, 5, 4}), Tensor::zeros({4, 4}, DType::bf16));
                },
                "expected weight in f32"}};

  OpCensus streams{"short_convs"};
  // Queries, and keys and values of fewer heads; the last stream with a filter of its own length.
  const auto add_streams = [&](const std::string& name, std::int64_t T, std::int64_t wide, std::int64_t narrow,
                               bool silu = true) {
    Case c;
    c.name = name;
    const std::int64_t channels[] = {wide, narrow, narrow}, taps[] = {4, 4, 6};
    for (int j = 0; j < 3; ++j) {
      c.inputs.push_back({fmt::format("x{}", j), {2, T, channels[j]}});
      c.inputs.push_back({fmt::format("weight{}", j), {channels[j], taps[j]}, as_gate(normal(0, 0.5))});
    }
    c.fused = [silu](auto in) {
      const ops::ConvStream all[] = {{in[0], in[1]}, {in[2], in[3]}, {in[4], in[5]}};
      return ops::short_convs(all, silu);
    };
    c.composed = [silu](auto in) {
      std::vector<Var> results;
      for (std::size_t j = 0; j < 6; j += 2) results.push_back(ops::composed::short_conv(in[j], in[j + 1], silu));
      return results;
    };
    c.bf16 = true;
    streams.cases.push_back(c);
  };
  for (const std::int64_t T : {1, 5, 64, 129, 150}) add_streams(fmt::format("three streams, T = {}", T), T, 12, 5);
  add_streams("wider than a strip", 20, 300, 150);
  add_streams("no SiLU", 20, 7, 7, false);
  add_streams("no positions", 0, 4, 4);
  const auto two = [](const Shape& x, DType dtype) {
    const ops::ConvStream all[] = {{f32({1, 5, 4}), f32({4, 4})}, {Tensor::zeros(x, dtype), f32({4, 4})}};
    ops::short_convs(all);
  };
  streams.errors = {{"positions",
                     [two] {
                       two({1, 6, 4}, DType::f32);
                     },
                     "expected x of [1, 5, 4], got f32[1, 6, 4]"},
                    {"dtypes",
                     [two] {
                       two({1, 5, 4}, DType::bf16);
                     },
                     "expected x in f32, got bf16[1, 5, 4]"}};
  return {op, streams};
}

TEST_CASE("of several streams, those whose result nobody uses get no gradient") {
  Tape tape;
  std::vector<ops::ConvStream> streams;
  for (int j = 0; j < 3; ++j)
    streams.push_back({tape.leaf(Tensor::full({1, 9, 4}, 0.5), "x"), tape.leaf(Tensor::full({4, 3}, 0.5), "w")});
  const std::vector<Var> y = ops::short_convs(streams);
  tape.backward(ops::sum_all(y[1]));
  for (std::size_t j = 0; j < 3; ++j) {
    CHECK(tape.grad(streams[j].x).defined() == (j == 1));
    CHECK(tape.grad(streams[j].weight).defined() == (j == 1));
  }
  CHECK(ops::short_convs({}).empty());
}

TEST_CASE("short convolution is causal and its last tap meets the current position") {
  Rng rng(2);
  const Tensor x = Tensor::empty({1, 140, 3}), w = Tensor::empty({3, 4});
  rng.fill_normal(x, 0, 1);
  rng.fill_normal(w, 0, 1);
  const Tensor y = ops::short_conv(x, w).value();
  for (const std::int64_t changed : {0, 1, 3, 64, 127, 128, 139}) {
    const Tensor other = x.clone();
    other.mutable_data<float>()[changed * 3] += 1;
    const Tensor z = ops::short_conv(other, w).value();
    for (std::int64_t t = 0; t < 140; ++t) {
      // Seen from `changed` to K - 1 positions later, in its own channel.
      CHECK((z.at(t * 3) != y.at(t * 3)) == (t >= changed && t < changed + 4));
      CHECK(z.at(t * 3 + 1) == y.at(t * 3 + 1));
    }
  }
  const float identity[] = {0, 0, 0, 1};
  const Tensor one_channel =
      ops::short_conv(ops::slice(x, 2, 0, 1), Tensor::from<float>({1, 4}, identity), false).value();
  for (std::int64_t t = 0; t < 140; ++t) CHECK(one_channel.at(t) == x.at(t * 3));
}

}  // namespace blalm::census
