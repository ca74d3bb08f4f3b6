// The mLSTM's gates before exp and sigmoid (spec §5.1): y = c tanh((x + b) / c), x [..., H], b [H], c the cap.
//   dx = dy ⊙ (1 - (y / c)²)      db = Σ_rows dx
// The input gate's db is a sum of which little is left (ops/mlstm.cpp). Here it is taken in f64 from terms that were
// never rounded to f32, which is why the bias is this operation's and not the projection's.
#include "engine/kernels/mlstm_gate.h"

#include "engine/autograd/op.h"
#include "engine/core/error.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {

Var mlstm_gate(const Var& x, const Var& bias, double cap, Where where) {
  check_floating("mlstm_gate", "x", x);
  if (x.rank() < 1) fail("mlstm_gate", "x with at least one axis", x.value().str());
  check_shape("mlstm_gate", "bias", bias.value(), {x.dim(-1)});
  check_dtype("mlstm_gate", "bias", bias.value(), compute_dtype(x.dtype()));
  if (!(cap > 0)) throw ConfigError(expected_got("mlstm_gate", "a cap above 0", std::to_string(cap)));
  if (kernel_policy().composed) return composed::mlstm_gate(x, bias, cap);

  Op op("mlstm_gate", {x, bias}, where);
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  op.ran(kernels::mlstm_gate({as_rows(x.value()), bias.value(), as_rows(y), cap}));
  op.flops(5.0 * static_cast<double>(y.numel()));
  return op.finish(y, {y}, [cap](Backward& back) {
    const Tensor& dy = back.dout();
    const Tensor dx = back.want(0) ? Tensor::empty(dy.shape(), dy.dtype()) : Tensor();
    const Backward::Slot dbias = back.want(1) ? back.slot(1) : Backward::Slot();
    kernels::mlstm_gate_backward(
        {as_rows(back.saved(0)), as_rows(dy), dx.defined() ? as_rows(dx) : Tensor(), dbias.buffer, cap, dbias.add});
    if (dx.defined()) back.give(0, dx);
  });
}

Var composed::mlstm_gate(const Var& x, const Var& bias, double cap) {
  const DType dtype = wide_dtype(bias.dtype());
  return ops::cast(ops::soft_cap(ops::add(ops::cast(x, dtype), ops::cast(bias, dtype)), cap), x.dtype());
}

}  // namespace blalm::ops
