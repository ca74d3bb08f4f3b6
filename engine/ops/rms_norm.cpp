// RMSNorm (spec §4.2), over the last axis of size d:
//   r = (mean_j x_j² + eps)^-1/2        x̂ = x r        y = w ⊙ x̂
// With u = w ⊙ dy:
//   dx = r (u - x̂ (1 / d) Σ_j u_j x̂_j)   dw = Σ_rows dy ⊙ x̂
// and with the residual before it, s = x + more: y = norm(s), dx = dmore = ds + the above.
#include "engine/autograd/op.h"
#include "engine/kernels/norm.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {

namespace {

void check(DType out_dtype, const Var& x, const Var& weight) {
  check_floating("rms_norm", "x", x);
  if (x.rank() < 1) fail("rms_norm", "x with at least one axis", x.value().str());
  check_shape("rms_norm", "weight", weight.value(), {x.dim(-1)});
  check_dtype("rms_norm", "weight", weight.value(), compute_dtype(x.dtype()));
  if (out_dtype == x.dtype()) return;
  if (compute_dtype(x.dtype()) != DType::f32 || compute_dtype(out_dtype) != DType::f32)
    fail("rms_norm", compute_dtype(x.dtype()) == DType::f32 ? "a result in f32 or bf16" : "a result in the dtype of x",
         name_of(out_dtype));
}

// y again from x, or from x̂ where that was kept.
Tensor again(Backward& back, bool normed, double eps) {
  const Tensor &kept = back.saved(0), &weight = back.saved(1);
  const Tensor y = Tensor::empty(kept.shape(), kept.dtype());
  if (normed)
    kernels::rms_norm_again({as_rows(kept), weight, as_rows(y)});
  else
    kernels::rms_norm({as_rows(kept), weight, as_rows(y), Tensor::empty(back.saved(2).shape(), weight.dtype()), eps});
  return y;
}

// {s, y} or {y}, s being x + more or, without more, x itself. Where y has another dtype than x, x̂ is kept and not s.
std::vector<Var> run(const char* name, DType out_dtype, const Var& x, const Var& more, const Var& weight, double eps,
                     Where where) {
  const bool normed = out_dtype != x.dtype(), sum = more.defined();
  Op op(name, {x, weight, more}, where);
  const Tensor rows = as_rows(x.value());
  const Tensor y = Tensor::empty(x.shape(), out_dtype);
  const Tensor rrms = Tensor::empty({rows.dim(0)}, compute_dtype(x.dtype()));
  const Tensor s = sum ? Tensor::empty(x.shape(), x.dtype()) : x.value();
  const Tensor kept = !normed ? s : op.recording() ? Tensor::empty(x.shape(), out_dtype) : Tensor();
  op.ran(kernels::rms_norm({rows, weight.value(), as_rows(y), rrms, eps, sum ? as_rows(more.value()) : Tensor(),
                            sum ? as_rows(s) : Tensor(), normed && kept.defined() ? as_rows(kept) : Tensor()}));
  op.flops((sum ? 5.0 : 4.0) * static_cast<double>(y.numel()));
  const int output = sum ? 1 : 0;
  op.remakes([normed, eps](Backward& back) { return again(back, normed, eps); }, output);
  std::vector<Tensor> outputs;
  if (sum) outputs.push_back(s);
  outputs.push_back(y);
  return op.finish(outputs, {kept, weight.value(), rrms}, [normed, output, dtype = x.dtype()](Backward& back) {
    const Tensor ds = output == 1 && back.has_dout(0) ? back.dout(0) : Tensor();
    if (!back.has_dout(output)) {  // s alone was used
      for (const int input : {0, 2})
        if (back.want(input)) back.give(input, ds);
      return;
    }
    const Tensor& dy = back.dout(output);
    Tensor dx, other = ds;
    // Without a second input the gradient goes straight to where that of x is summed.
    if (output == 0 && back.want(0)) {
      const Backward::Slot slot = back.slot(0);
      dx = slot.buffer;
      if (slot.add) other = dx;
    } else if (back.want(0) || back.want(2)) {
      dx = Tensor::empty(dy.shape(), dtype);
    }
    const Backward::Slot dw = back.want(1) ? back.slot(1) : Backward::Slot();
    kernels::rms_norm_backward({as_rows(back.saved(0)), back.saved(1), back.saved(2), as_rows(dy),
                                dx.defined() ? as_rows(dx) : Tensor(), dw.buffer, dw.add, normed,
                                dx.defined() && other.defined() ? as_rows(other) : Tensor()});
    if (output == 0) return;
    back.give(0, dx);
    back.give(2, dx);
  });
}

}  // namespace

Var rms_norm(const Var& x, const Var& weight, double eps, Where where) {
  return rms_norm_to(x.dtype(), x, weight, eps, where);
}

Var rms_norm_to(DType out_dtype, const Var& x, const Var& weight, double eps, Where where) {
  check(out_dtype, x, weight);
  if (kernel_policy().composed && out_dtype == x.dtype()) return composed::rms_norm(x, weight, eps);
  return run("rms_norm", out_dtype, x, {}, weight, eps, where)[0];
}

std::vector<Var> add_rms_norm_to(DType out_dtype, const Var& x, const Var& more, const Var& weight, double eps,
                                 Where where) {
  check(out_dtype, x, weight);
  check_shape("add_rms_norm", "more", more.value(), x.shape());
  check_same_dtype("add_rms_norm", "more", more, x);
  if (kernel_policy().composed && out_dtype == x.dtype()) return composed::add_rms_norm(x, more, weight, eps);
  return run("add_rms_norm", out_dtype, x, more, weight, eps, where);
}

Var composed::rms_norm(const Var& x, const Var& weight, double eps) {
  const Var r = ops::rsqrt(ops::add_scalar(ops::mean(ops::square(x), -1, true), eps));  // [..., 1]
  return ops::cast(ops::mul(weight, ops::mul(x, r)), x.dtype());
}

std::vector<Var> composed::add_rms_norm(const Var& x, const Var& more, const Var& weight, double eps) {
  const Var s = ops::add(x, more);
  return {s, rms_norm(s, weight, eps)};
}

}  // namespace blalm::ops
