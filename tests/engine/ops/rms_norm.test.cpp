#include "census_list.h"

namespace blalm::census {

std::vector<OpCensus> rms_norm() {
  OpCensus op{"rms_norm", {"rms_norm", "rms_norm_backward"}, {}, {}};
  const auto add = [&](const std::string& name, const Shape& shape, Fill fill = normal(), double eps = 1e-6) -> Case& {
    Case c;
    c.name = name;
    c.inputs = {{"x", shape, fill}, {"weight", {shape.dim(-1)}, as_gate(normal(1, 0.3))}};
    c.fused = one([eps](auto in) { return ops::rms_norm(in[0], in[1], eps); });
    c.composed = one([eps](auto in) { return ops::composed::rms_norm(in[0], in[1], eps); });
    c.bf16 = true;
    return op.cases.emplace_back(c);
  };
  add("one row", {1, 5});
  add("one column", {7, 1}, normal(), 0.5);  // with a small eps y is w sign(x), and dx nothing but rounding
  add("odd sizes", {2, 65, 33});
  add("many rows", {3, 150, 48});
  add("large values", {4, 16}, normal(0, 1e4));
  add("tiny values, eps rules", {4, 16}, normal(0, 1e-4));
  add("no rows", {0, 8});

  // f32 in, bf16 out: the residual stream feeds bf16 products.
  OpCensus to{"rms_norm_to", {}, {}, {}};
  Case same = op.cases[2];
  same.name = "same dtype";
  same.fused = one([](auto in) { return ops::rms_norm_to(in[0].dtype(), in[0], in[1], 1e-6); });
  to.cases.push_back(same);

  op.errors = {
      {"weight too long", [] { ops::rms_norm(f32({2, 8}), f32({9}), 1e-6); }, "[rms_norm] expected weight of [8], got f32[9]"},
      {"ids", [] { ops::rms_norm(Tensor::zeros({2, 8}, DType::i32), f32({8}), 1e-6); }, "expected a floating dtype for x"},
      {"mixed dtypes", [] { ops::rms_norm(f32({2, 8}), Tensor::zeros({8}, DType::f64), 1e-6); }, "expected weight in f32"},
  };
  return {op, to};
}

}  // namespace blalm::census
