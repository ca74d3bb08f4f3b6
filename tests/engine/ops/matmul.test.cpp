#include "tests/engine/ops/census_list.h"

namespace blalm::census {

std::vector<OpCensus> matmul() {
  OpCensus op{"matmul"};
  const auto add = [&](const std::string& name, const Shape& a, const Shape& b, ops::MatmulOptions o = {}) {
    Case c;
    c.name = name;
    c.inputs = {{"a", a}, {"b", b}};
    c.fused = one([o](auto in) { return ops::matmul(in[0], in[1], o); });
    c.composed = one([o](auto in) { return ops::composed::matmul(in[0], in[1], o); });
    c.bf16 = true;
    op.cases.push_back(c);
  };
  add("1×1", {1, 1}, {1, 1});
  add("odd", {3, 5}, {5, 7});
  add("row by matrix", {1, 63}, {63, 65});
  add("large", {150, 100}, {100, 65});
  add("a transposed", {5, 3}, {5, 7}, {.transpose_a = true});
  add("b transposed", {3, 5}, {7, 5}, {.transpose_b = true});
  add("both transposed", {5, 3}, {7, 5}, {.transpose_a = true, .transpose_b = true});
  add("scaled", {4, 6}, {6, 4}, {.alpha = -0.125});
  add("batched", {3, 4, 5}, {3, 5, 6});
  add("two batch axes, b transposed", {2, 3, 4, 5}, {2, 3, 6, 5}, {.transpose_b = true});
  add("batched, a transposed", {4, 5, 3}, {4, 5, 2}, {.transpose_a = true});
  add("one matrix for a batch", {2, 3, 5}, {5, 4});
  add("many rows, threads", {300, 64}, {64, 96});
  add("nothing to sum", {3, 0}, {0, 4});
  add("no rows", {0, 4}, {4, 3});
  add("empty batch", {0, 2, 3}, {0, 3, 2});

  OpCensus linear{"linear"}, linear_to{"linear_to"};
  const auto add_linear = [&](const std::string& name, const Shape& x, std::int64_t out, bool bias,
                              bool to_all_dtypes = true) {
    Case c;
    c.name = name;
    c.inputs = {{"x", x}, {"weight", {out, x.dim(-1)}, as_gate(normal(0, 0.3))}};
    if (bias) c.inputs.push_back({"bias", {out}, as_gate(normal())});
    c.fused = one([bias](auto in) { return ops::linear(in[0], in[1], bias ? in[2] : Var()); });
    c.composed = one([bias](auto in) { return ops::composed::linear(in[0], in[1], bias ? in[2] : Var()); });
    c.bf16 = true;
    linear.cases.push_back(c);
    if (!to_all_dtypes) return;
    c.name = name + ", to the compute dtype";  // bf16 x, f32 gates
    c.fused = one(
        [bias](auto in) { return ops::linear_to(compute_dtype(in[0].dtype()), in[0], in[1], bias ? in[2] : Var()); });
    linear_to.cases.push_back(c);
    c.name = name + ", to its own dtype";
    c.fused = one([bias](auto in) { return ops::linear_to(in[0].dtype(), in[0], in[1], bias ? in[2] : Var()); });
    linear_to.cases.push_back(c);
  };
  add_linear("vector", {6}, 4, true);
  add_linear("rows", {5, 6}, 4, false);
  add_linear("batch of rows with bias", {2, 65, 33}, 17, true);
  add_linear("large", {2, 150, 64}, 96, true);
  add_linear("no rows", {0, 6}, 4, true);
  add_linear("so many rows that threads share them for the weight's gradient", {1, 2085, 20}, 40, true);
  // Tiles cut a product at 1,024 of its depth, and the rows of a weight's gradient at 4,096.
  add_linear("a depth of several slabs", {40, 1100}, 40, false, false);
  add_linear("a depth of several slabs, the last one odd", {33, 2100}, 40, true, false);
  add_linear("more rows than a weight's gradient takes at a time", {4100, 520}, 6, false, false);

  OpCensus linears{"linears"};
  const auto add_linears = [&](const std::string& name, const Shape& x) {
    // Two layers with and without a bias, one of them with a wide result.
    Case c;
    c.name = name;
    const std::int64_t in = x.dim(-1);
    c.inputs = {{"x", x},
                {"w0", {24, in}, as_gate(normal(0, 0.3))},
                {"w1", {33, in}, as_gate(normal(0, 0.3))},
                {"bias1", {33}, as_gate(normal())},
                {"w2", {5, in}, as_gate(normal(0, 0.3))},
                {"bias2", {5}, as_gate(normal())}};
    c.fused = [](std::span<const Var> v) {
      const ops::LinearLayer layers[] = {{v[1], {}}, {v[2], v[3]}, {v[4], v[5], compute_dtype(v[0].dtype())}};
      return ops::linears(v[0], layers);
    };
    c.composed = [](std::span<const Var> v) {
      return std::vector<Var>{ops::composed::linear(v[0], v[1], {}), ops::composed::linear(v[0], v[2], v[3]),
                              ops::composed::linear(v[0], v[4], v[5])};
    };
    c.bf16 = true;
    linears.cases.push_back(c);
  };
  add_linears("one row", {1, 64});
  add_linears("odd rows, a depth that ends inside a tile", {2, 17, 50});
  add_linears("many rows", {3, 100, 96});
  add_linears("a depth below one tile", {4, 7});
  add_linears("so many rows that threads share them for the weights' gradients", {1, 1100, 20});
  Case shared;
  shared.name = "many rows twice through one weight, whose gradients add up";
  shared.inputs = {{"x", {1100, 20}}, {"more", {1100, 20}}, {"w", {24, 20}, as_gate(normal(0, 0.3))}};
  shared.fused = [](std::span<const Var> v) {
    return std::vector<Var>{ops::linear(v[0], v[2]), ops::linear(v[1], v[2])};
  };
  shared.composed = [](std::span<const Var> v) {
    return std::vector<Var>{ops::composed::linear(v[0], v[2], {}), ops::composed::linear(v[1], v[2], {})};
  };
  shared.bf16 = true;
  linears.cases.push_back(shared);

  OpCensus embedding{"embedding"};
  for (const std::int64_t n : {0, 1, 7, 400}) {
    Case c;
    c.name = std::to_string(n) + " ids, many of them twice";
    c.inputs = {{"weight", {11, 5}}};
    std::vector<std::int32_t> ids;
    for (std::int64_t i = 0; i < n; ++i) ids.push_back(static_cast<std::int32_t>(i * i % 7));
    const Tensor t = Tensor::from_ids({n}, ids);
    c.fused = one([t](auto in) { return ops::embedding(t, in[0]); });
    c.composed = one([t](auto in) { return ops::composed::embedding(t, in[0]); });
    c.bf16 = n < 10;
    embedding.cases.push_back(c);
  }

  op.errors = {
      {"inner sizes",
       [] {
         ops::matmul(f32({2, 3}), f32({4, 5}));
       },
       "[matmul] expected shapes [..., M, K] and [..., K, N] with equal leading axes, got f32[2, 3] and f32[4, 5]"},
      {"batches",
       [] {
         ops::matmul(f32({2, 3, 4}), f32({3, 4, 5}));
       },
       "with equal leading axes"},
      {"vector",
       [] {
         ops::matmul(f32({3}), f32({3, 4}));
       },
       "at least two axes"},
      {"dtypes",
       [] {
         ops::matmul(f32({2, 3}), Tensor::zeros({3, 2}, DType::f64));
       },
       "expected b in f32"}};
  linear.errors = {{"width",
                    [] {
                      ops::linear(f32({2, 3}), f32({4, 5}));
                    },
                    "[linear] expected x [..., 5] for weight f32[4, 5], got f32[2, 3]"},
                   {"bias",
                    [] {
                      ops::linear(f32({2, 3}), f32({4, 3}), f32({3}));
                    },
                    "expected bias of [4]"}};
  linears.errors = {{"width",
                     [] {
                       const ops::LinearLayer layers[] = {{f32({4, 3}), {}}, {f32({4, 5}), {}}};
                       ops::linears(f32({2, 3}), layers);
                     },
                     "[linear] expected x [..., 5] for weight f32[4, 5], got f32[2, 3]"}};
  linear_to.errors = {{"dtype",
                       [] {
                         ops::linear_to(DType::bf16, f32({2, 3}), f32({4, 3}));
                       },
                       "the dtype of x or its compute dtype, got bf16"}};
  embedding.errors = {{"id too large",
                       [] {
                         ops::embedding(Tensor::full({2}, 11, DType::i32), f32({11, 2}));
                       },
                       "[embedding] expected ids in [0, 11), got 11"},
                      {"negative id",
                       [] {
                         ops::embedding(Tensor::full({2}, -1, DType::i32), f32({11, 2}));
                       },
                       "got -1"},
                      {"floats",
                       [] {
                         ops::embedding(f32({2}), f32({11, 2}));
                       },
                       "expected ids in i32"}};
  return {op, linear, linear_to, linears, embedding};
}

}  // namespace blalm::census
