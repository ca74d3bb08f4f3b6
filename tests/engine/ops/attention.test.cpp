#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "engine/kernels/attention.h"
#include "tests/engine/ops/census_list.h"

namespace blalm::census {
namespace {

struct AttentionSizes {
  std::int64_t batch = 1, queries = 0, keys = 0, heads = 2, groups = 1, d = 3, e = 2;
};

Case attention_case(const std::string& name, const AttentionSizes& n, ops::AttentionOptions options) {
  Case c;
  c.name = name;
  c.inputs = {{"q", {n.batch, n.queries, n.heads, n.d}},
              {"k", {n.batch, n.keys, n.groups, n.d}},
              {"v", {n.batch, n.keys, n.groups, n.e}}};
  c.fused = one([options](auto in) { return ops::attention(in[0], in[1], in[2], options); });
  c.composed = one([options](auto in) { return ops::composed::attention(in[0], in[1], in[2], options); });
  c.bf16 = true;
  return c;
}

Case same_length(std::int64_t positions, std::int64_t window, std::int64_t memory) {
  Case c = attention_case(fmt::format("T {}, window {}, memory {}", positions, window, memory),
                          {.queries = positions, .keys = positions}, {window, memory, 0});
  // Queries that see one key have gradients of 0 but for rounding, which no relative error can judge; the comparison of
  // tiles with plain loops below does.
  if (positions == 1 || (window == 1 && memory == 0)) c.inputs[0].differentiable = c.inputs[1].differentiable = false;
  return c;
}

}  // namespace

std::vector<OpCensus> attention() {
  OpCensus op{"attention"};
  op.cases = {
      same_length(1, 1, 4),
      same_length(2, 1, 0),
      same_length(2, 24, 1),
      same_length(64, 24, 1),
      same_length(65, 64, 4),
      same_length(65, 1, 1),
      same_length(100, 200, 0),
      same_length(150, 64, 4),
      same_length(150, 24, 100),
      attention_case("batches and heads", {2, 70, 70, 4, 2, 5, 3}, {24, 4, 0}),
      attention_case("as many key heads", {2, 33, 33, 3, 3, 2, 4}, {}),
      attention_case("whole vectors", {1, 66, 66, 1, 1, 48, 32}, {24, 1, 0}),
      attention_case("own scale", {.queries = 20, .keys = 20}, {8, 0, 0.3}),
      attention_case("one query, full", {2, 1, 70, 2, 1, 3, 2}, {}),
      attention_case("last queries, window and memory", {2, 30, 100, 2, 1, 3, 2}, {24, 4, 0}),
      attention_case("no positions", {.queries = 0, .keys = 0}, {}),
      attention_case("no queries", {.queries = 0, .keys = 5}, {}),
      attention_case("no values", {1, 5, 5, 2, 1, 3, 0}, {2, 1, 0}),
      attention_case("no batch", {0, 5, 5, 2, 1, 3, 2}, {2, 1, 0}),
  };

  // Full attention, a sliding window, and one with memory positions.
  for (const std::int64_t T : {1, 63, 64, 65, 100, 150}) {
    op.cases.push_back(same_length(T, 0, 0));
    op.cases.push_back(same_length(T, 24, 0));
    op.cases.push_back(same_length(T, 24, 4));
  }

  // Scores of ±100.
  Case large = attention_case("large scores", {.queries = 70, .keys = 70}, {0, 0, 20});
  op.cases.push_back(large);
  // Queries of 0: every visible key has the same weight.
  Case equal = attention_case("equal scores", {.queries = 70, .keys = 70}, {24, 4, 0});
  equal.inputs[0].fill = normal(0, 0);
  op.cases.push_back(equal);

  const auto call = [](const Shape& q, const Shape& k, const Shape& v, ops::AttentionOptions options) {
    return [=] { ops::attention(f32(q), f32(k), f32(v), options); };
  };
  const Shape x{1, 8, 4, 2};
  op.errors = {
      {"negative window", call(x, x, x, {-1, 0, 0}), "[attention] expected a window of 0 or more, got -1"},
      {"negative memory", call(x, x, x, {4, -2, 0}), "[attention] expected a memory of 0 or more, got -2"},
      {"memory alone", call(x, x, x, {0, 4, 0}), "expected a window above 0 with memory"},
      {"heads", call(x, {1, 8, 3, 2}, {1, 8, 3, 2}, {}), "expected key heads that divide the query heads, got 3 for 4"},
      {"no key heads", call(x, {1, 8, 0, 2}, {1, 8, 0, 2}, {}), "expected key heads that divide"},
      {"features", call(x, {1, 8, 4, 3}, x, {}), "expected k of [1, 8, 4, 2], got f32[1, 8, 4, 3]"},
      {"no features", call({1, 8, 4, 0}, {1, 8, 4, 0}, x, {}), "expected at least one feature a head"},
      {"value positions", call(x, x, {1, 7, 4, 2}, {}), "expected v of [1, 8, 4, 2], got f32[1, 7, 4, 2]"},
      {"value heads", call(x, x, {1, 8, 2, 2}, {}), "expected v of [1, 8, 4, 2]"},
      {"batch", call(x, {2, 8, 4, 2}, {2, 8, 4, 2}, {}), "expected k of [1, 8, 4, 2]"},
      {"too many queries", call(x, {1, 7, 4, 2}, {1, 7, 4, 2}, {}), "expected no more queries than keys, got 8 and 7"},
      {"rank", call({8, 4, 2}, x, x, {}), "expected q with 4 axes"},
      {"mixed", [x] { ops::attention(f32(x), Tensor::zeros(x, DType::f64), f32(x)); }, "expected k in f32"},
  };
  return {op};
}

namespace {

Tensor random(Rng& rng, const Shape& shape, DType dtype = DType::f32) {
  Tensor t = Tensor::empty(shape, dtype);
  rng.fill_normal(t, 0, 1);
  return t;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double largest = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double d = std::abs(a.at(i) - b.at(i));
    if (!(d <= largest)) largest = std::isnan(d) ? HUGE_VAL : d;
  }
  return largest;
}

KernelPolicy forcing(const std::string& implementation) {
  KernelPolicy policy;
  policy.forced = {{"attention", implementation}, {"attention_backward", implementation}};
  return policy;
}

struct AttentionResult {
  Tensor o, dq, dk, dv;
};

AttentionResult forward_backward(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& d_o,
                        ops::AttentionOptions options) {
  Tape tape;
  const Var a = tape.leaf(q), b = tape.leaf(k), c = tape.leaf(v);
  const Var o = ops::attention(a, b, c, options);
  tape.backward(std::vector{o}, std::vector{d_o});
  return {o.value(), tape.grad(a), tape.grad(b), tape.grad(c)};
}

}  // namespace

// AttentionSizes that the census leaves out because complex numbers cost: several tiles, and the edges of all of them.
TEST_CASE("attention: tiles equal plain loops for every window and memory") {
  Rng rng(3);
  for (const std::int64_t T : {1, 2, 63, 64, 65, 100, 150, 300, 520})
    for (const std::int64_t window : {0, 1, 24, 64, 130, 300, 600})
      for (const std::int64_t memory : {0, 1, 4, 100, 290, 1000}) {
        if ((window == 0 && memory > 0) || (T > 300 && memory == 4)) continue;
        CAPTURE(T);
        CAPTURE(window);
        CAPTURE(memory);
        const Tensor q = random(rng, {1, T, 1, 2}, DType::f64), k = random(rng, {1, T, 1, 2}, DType::f64);
        const Tensor v = random(rng, {1, T, 1, 1}, DType::f64), d_o = random(rng, {1, T, 1, 1}, DType::f64);
        const ops::AttentionOptions options{window, memory, 0};
        AttentionResult tiles, loops;
        {
          const KernelChoice choice(forcing("eigen"));
          tiles = forward_backward(q, k, v, d_o, options);
        }
        {
          const KernelChoice choice(forcing("reference"));
          loops = forward_backward(q, k, v, d_o, options);
        }
        CHECK(largest_difference(tiles.o, loops.o) < 1e-12);
        CHECK(largest_difference(tiles.dq, loops.dq) < 1e-12);
        CHECK(largest_difference(tiles.dk, loops.dk) < 1e-12);
        CHECK(largest_difference(tiles.dv, loops.dv) < 1e-12);
      }
}

TEST_CASE("attention: visible pairs are those that a loop over the queries counts") {
  for (const std::int64_t window : {0, 1, 2, 5, 40})
    for (const std::int64_t memory : {0, 1, 3, 50})
      for (const std::int64_t first : {0, 1, 4, 5, 6, 30})
        for (const std::int64_t queries : {0, 1, 2, 7, 33}) {
          const kernels::Band band{window, memory};
          std::int64_t pairs = 0;
          for (std::int64_t i = 0; i < queries; ++i) pairs += band.visible(first + i).count();
          INFO("window ", window, ", memory ", memory, ", first ", first, ", queries ", queries);
          CHECK(kernels::visible_pairs(band, first, queries) == pairs);
        }
  CHECK(kernels::visible_pairs({}, 0, std::int64_t{1} << 30) ==
        (std::int64_t{1} << 29) * ((std::int64_t{1} << 30) + 1));
}

TEST_CASE("attention: a window that holds all positions is full attention") {
  Rng rng(5);
  const std::int64_t T = 150;
  const Tensor q = random(rng, {2, T, 4, 16}), k = random(rng, {2, T, 2, 16}), v = random(rng, {2, T, 2, 8});
  const Tensor full = ops::attention(q, k, v).value();
  for (const std::int64_t window : {T, T + 1, 10 * T, std::int64_t{1} << 62})
    CHECK(largest_difference(ops::attention(q, k, v, {window, 0, 0}).value(), full) < 1e-6);
  CHECK(largest_difference(ops::attention(q, k, v, {24, T, 0}).value(), full) < 1e-6);
  CHECK(largest_difference(ops::attention(q, k, v, {T - 1, 0, 0}).value(), full) > 1e-3);
}

// Spec §9.3: memory keys that are not masked causally show a query up to memory - 1 of its next tokens.
TEST_CASE("attention: what comes later does not change what came before") {
  const std::int64_t T = 140, window = 24, row = 4 * 8;
  for (const std::string implementation : {"eigen", "reference"})
    for (const std::int64_t memory : {0, 4, 40}) {
      const KernelChoice choice(forcing(implementation));
      Rng rng(7);
      const Tensor q = random(rng, {1, T, 4, 16}), k = random(rng, {1, T, 2, 16}), v = random(rng, {1, T, 2, 8});
      const Tensor before = ops::attention(q, k, v, {window, memory, 0}).value();
      for (const std::int64_t t :
           {std::int64_t{1}, std::int64_t{2}, std::int64_t{3}, std::int64_t{4}, window, window + 1, T - 1}) {
        CAPTURE(implementation);
        CAPTURE(memory);
        CAPTURE(t);
        const auto changed = [t](const Tensor& x) {
          const Tensor y = x.clone();
          const std::int64_t n = x.numel() / T;
          for (std::int64_t j = t * n; j < (t + 1) * n; ++j) y.mutable_data<float>()[j] = 5 - 3 * x.data<float>()[j];
          return y;
        };
        const Tensor after = ops::attention(changed(q), changed(k), changed(v), {window, memory, 0}).value();
        CHECK(std::memcmp(before.raw(), after.raw(), static_cast<std::size_t>(t * row) * sizeof(float)) == 0);
        CHECK(std::memcmp(before.data<float>() + t * row, after.data<float>() + t * row, row * sizeof(float)) != 0);
        // The last position sees the change through the window or the memory, and only then.
        const float* last = before.data<float>() + (T - 1) * row;
        const bool same = std::memcmp(last, after.data<float>() + (T - 1) * row, row * sizeof(float)) == 0;
        CHECK(same == (T - 1 - t >= window && t >= memory));
      }
    }
}

// In bf16: the kernel on tiles takes scores relative to a shift where their exponentials leave its range, for each
// query by itself. Here scores are ±2, and those of later queries up to ±1000.
TEST_CASE("attention: large scores of later queries do not change a bit of earlier results") {
  const std::int64_t T = 230, row = 2 * 64;
  const auto check = [&](const ops::AttentionOptions& options) {
    Rng rng(19);
    const Tensor q = random(rng, {1, T, 2, 64}).to(DType::bf16), k = random(rng, {1, T, 1, 64}).to(DType::bf16);
    const Tensor v = random(rng, {1, T, 1, 64}).to(DType::bf16);
    const Tensor before = ops::attention(q, k, v, options).value();
    for (const std::int64_t t : {1, 31, 32, 63, 64, 127, 130, 229})
      for (const float factor : {-3.0F, 16.0F, std::nanf("")}) {
        CAPTURE(t);
        CAPTURE(factor);
        const auto changed = [&](const Tensor& x) {
          Tensor y = x.to(DType::f32);
          const std::int64_t n = x.numel() / T;
          for (std::int64_t j = t * n; j < T * n; ++j) y.mutable_data<float>()[j] *= factor;
          return y.to(DType::bf16);
        };
        const Tensor after = ops::attention(changed(q), changed(k), v, options).value();
        CHECK(std::memcmp(before.raw(), after.raw(), static_cast<std::size_t>(t * row) * 2) == 0);
        CHECK(std::isnan(after.at(t * row)) == std::isnan(factor));
      }
  };
  int ran = 0;
  for (const KernelBase::Entry& implementation : kernels::attention.entries()) {
    if (implementation.unavailable() != nullptr) continue;
    CAPTURE(implementation.name);
    const KernelChoice choice({.forced = {{"attention", std::string(implementation.name)}}});
    check({0, 0, 0.25});
    check({40, 4, 0.25});
    ++ran;
  }
  CHECK(ran >= 2);  // the plain ones run everywhere
}

TEST_CASE("attention: one query at a time equals all at once") {
  Rng rng(11);
  const std::int64_t T = 90;
  const Tensor q = random(rng, {1, T, 4, 16}), k = random(rng, {1, T, 2, 16}), v = random(rng, {1, T, 2, 8});
  for (const ops::AttentionOptions options : {ops::AttentionOptions{}, ops::AttentionOptions{24, 4, 0}}) {
    const Tensor all = ops::attention(q, k, v, options).value();
    for (const std::int64_t t : {0, 1, 23, 24, 63, 64, 89}) {
      const auto first = [](const Tensor& x, std::int64_t begin, std::int64_t end) {
        return x.row(0).rows(begin, end).reshape({1, end - begin, x.dim(2), x.dim(3)});
      };
      const Tensor one = ops::attention(first(q, t, t + 1), first(k, 0, t + 1), first(v, 0, t + 1), options).value();
      CHECK(largest_difference(one, first(all, t, t + 1)) < 1e-6);
    }
  }
}

TEST_CASE("attention: a NaN reaches every query that sees it, and no other") {
  Rng rng(13);
  const Tensor x = random(rng, {1, 90, 1, 4});
  const Tensor spoilt = x.clone();
  spoilt.mutable_data<float>()[50 * 4] = std::nanf("");
  for (const std::string implementation : {"eigen", "reference"}) {
    const KernelChoice choice(forcing(implementation));
    const Tensor by_query = ops::attention(spoilt, x, x, {24, 4, 0}).value();
    const Tensor by_key = ops::attention(x, spoilt, x, {24, 4, 0}).value();
    for (std::int64_t t = 0; t < 90; ++t) {
      CHECK(std::isnan(by_query.at(t * 4)) == (t == 50));
      CHECK(std::isnan(by_key.at(t * 4)) == (t >= 50 && t < 74));
    }
  }
}

// No T × T matrix anywhere: four times the positions take four times the memory, with a window and without.
TEST_CASE("attention: memory is linear in the positions") {
  const auto peak = [](std::int64_t T, ops::AttentionOptions options) {
    Rng rng(17);
    const Tensor q = random(rng, {1, T, 1, 8}), d_o = random(rng, {1, T, 1, 8});
    const std::int64_t base = Pool::instance().stats().live_bytes;
    Pool::instance().reset_peak();
    forward_backward(q, q, q, d_o, options);
    return static_cast<double>(Pool::instance().stats().peak_live_bytes - base);
  };
  for (const ops::AttentionOptions options : {ops::AttentionOptions{64, 4, 0}, ops::AttentionOptions{}}) {
    const double small = peak(1024, options), large = peak(4096, options);
    CHECK(large < 4.1 * small);
    CHECK(large < 4096.0 * 4096.0 * sizeof(float) / 8);
  }
}

}  // namespace blalm::census
