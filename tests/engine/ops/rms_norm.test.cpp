#include "census_list.h"

namespace blalm::census {

std::vector<OpCensus> rms_norm() {
  // The second gives bf16 for f32: the residual stream feeds bf16 products. f64 and complex numbers stay as they are.
  OpCensus op{"rms_norm"}, to{"rms_norm_to"};
  const auto add = [&](const std::string& name, const Shape& shape, Fill fill = normal(), double eps = 1e-6) {
    Case c;
    c.name = name;
    c.inputs = {{"x", shape, fill}, {"weight", {shape.dim(-1)}, as_gate(normal(1, 0.3))}};
    c.fused = one([eps](auto in) { return ops::rms_norm(in[0], in[1], eps); });
    c.composed = one([eps](auto in) { return ops::composed::rms_norm(in[0], in[1], eps); });
    c.bf16 = true;
    op.cases.push_back(c);
    c.fused = one([eps](auto in) {
      const DType dtype = in[0].dtype();
      return ops::rms_norm_to(dtype == DType::f32 ? DType::bf16 : dtype, in[0], in[1], eps);
    });
    c.f32_tolerance = 0x1p-8;  // one rounding to bf16
    to.cases.push_back(c);
  };
  add("one row", {1, 5});
  add("one column", {7, 1}, normal(), 0.5);  // with a small eps y is w sign(x), and dx nothing but rounding
  add("odd sizes", {2, 65, 33});
  add("many rows", {3, 150, 48});
  add("large values", {4, 16}, normal(0, 1e4));
  add("tiny values, eps rules", {4, 16}, normal(0, 1e-4));
  add("no rows", {0, 8});

  op.errors = {
      {"weight too long",
       [] {
         ops::rms_norm(f32({2, 8}), f32({9}), 1e-6);
       },
       "[rms_norm] expected weight of [8], got f32[9]"},
      {"ids",
       [] {
         ops::rms_norm(Tensor::zeros({2, 8}, DType::i32), f32({8}), 1e-6);
       },
       "expected a floating dtype for x"},
      {"mixed dtypes",
       [] {
         ops::rms_norm(f32({2, 8}), Tensor::zeros({8}, DType::f64), 1e-6);
       },
       "expected weight in f32"},
  };
  to.errors = {{"wider",
                [] {
                  ops::rms_norm_to(DType::f64, f32({2, 8}), f32({8}), 1e-6);
                },
                "[rms_norm] expected a result in f32 or bf16, got f64"}};
  return {op, to};
}

}  // namespace blalm::census
