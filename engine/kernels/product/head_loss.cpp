#include "engine/kernels/cross_entropy.h"
#include "engine/kernels/linear.h"
#include "engine/kernels/product/backend.h"

namespace blalm::kernels::product {

void head_loss(const HeadLossArgs& args) {
  const DType wide = compute_dtype(args.x.dtype());
  const Tensor logits = Tensor::empty({args.x.dim(0), args.weight.dim(0)}, wide);
  const Tensor lse = Tensor::empty({args.x.dim(0)}, wide);
  kernels::linear({args.x, {{args.weight, {}, logits}}});
  kernels::cross_entropy({logits, args.targets, args.losses, lse, args.soft_cap});
  if (!args.dx.defined() && !args.dw.defined()) return;
  const Tensor dlogits = args.x.dtype() == wide ? logits : Tensor::empty(logits.shape(), args.x.dtype());
  kernels::cross_entropy_backward({logits, args.targets, lse, dlogits, args.factor, args.soft_cap});
  if (args.dx.defined()) kernels::linear_data({{{dlogits, args.weight}}, args.dx, false});
  if (args.dw.defined()) kernels::linear_weight({args.x, {{dlogits, args.dw, args.add_dw}}});
}

}  // namespace blalm::kernels::product
