#include "tests/engine/ops/census_list.h"

namespace blalm::census {

std::vector<OpCensus> rms_norm() {
  // The second gives bf16 for f32: the residual stream feeds bf16 products. f64 and complex numbers stay as they are.
  OpCensus op{"rms_norm"}, to{"rms_norm_to"}, sum{"add_rms_norm_to"};
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
    c.f32_tolerance = 0x1p-8;   // one rounding to bf16,
    c.inputs[1].f32_slack = 2;  // and one of x̂, which is kept for the gradient of the weight
    to.cases.push_back(c);
    c.name = name + ", sum";
    c.inputs.insert(c.inputs.begin() + 1, {"more", shape, fill});
    c.fused = [eps](auto in) {
      const DType dtype = in[0].dtype();
      return ops::add_rms_norm_to(dtype == DType::f32 ? DType::bf16 : dtype, in[0], in[1], in[2], eps);
    };
    c.composed = [eps](auto in) { return ops::composed::add_rms_norm(in[0], in[1], in[2], eps); };
    sum.cases.push_back(c);
    c.name = name + ", one dtype";
    c.fused = [eps](auto in) { return ops::add_rms_norm_to(in[0].dtype(), in[0], in[1], in[2], eps); };
    c.f32_tolerance = 1e-5;
    c.inputs[2].f32_slack = 1;
    sum.cases.push_back(c);
    if (name != "odd sizes") return;
    // Either may be all that is used.
    for (const std::size_t used : {std::size_t{0}, std::size_t{1}}) {
      Case part = c;
      part.name = name + (used == 0 ? ", sum alone" : ", norm alone");
      part.fused = [c, used](auto in) { return std::vector<Var>{c.fused(in)[used]}; };
      part.composed = [c, used](auto in) { return std::vector<Var>{c.composed(in)[used]}; };
      if (used == 0) part.inputs[2].differentiable = false;
      sum.cases.push_back(part);
    }
  };
  add("one row", {1, 5});
  add("one column", {7, 1}, normal(), 0.5);  // with a small eps y is w sign(x), and dx nothing but rounding
  add("odd sizes", {2, 65, 33});
  add("many rows", {3, 150, 48});
  add("large values", {4, 16}, normal(0, 1e4));
  add("tiny values, eps rules", {4, 16}, normal(0, 1e-4));
  add("no rows", {0, 8});

  // Of the odd sizes; the second of the sums has one dtype.
  for (OpCensus* list : {&op, &to}) list->cases.push_back(saved_later(list->cases[2]));
  for (const std::size_t i : {std::size_t{4}, std::size_t{5}}) sum.cases.push_back(saved_later(sum.cases[i]));
  for (Case* c : {&to.cases.back(), &sum.cases[sum.cases.size() - 2]}) c->f32_tolerance *= 2;  // a square of it
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
  sum.errors = {{"another shape",
                 [] {
                   ops::add_rms_norm_to(DType::f32, f32({2, 8}), f32({1, 8}), f32({8}), 1e-6);
                 },
                 "[add_rms_norm] expected more of [2, 8], got f32[1, 8]"},
                {"another dtype",
                 [] {
                   ops::add_rms_norm_to(DType::f32, f32({2, 8}), Tensor::zeros({2, 8}, DType::bf16), f32({8}), 1e-6);
                 },
                 "expected more in f32"}};
  return {op, to, sum};
}

}  // namespace blalm::census
