#include "blalm/kernels/cross_entropy.h"

#include "blalm/kernels/linear.h"

namespace blalm::kernels {

using tiles::Unit;

const Kernel<CrossEntropyArgs> cross_entropy{
    "cross_entropy", {{"reference", always, accepts_all<CrossEntropyArgs>, reference::cross_entropy}}};
const Kernel<CrossEntropyBackwardArgs> cross_entropy_backward{
    "cross_entropy_backward",
    {{"reference", always, accepts_all<CrossEntropyBackwardArgs>, reference::cross_entropy_backward}}};
const Kernel<HeadLossArgs> head_loss{
    "head_loss",
    {{"amx:bf16", tiles::no_amx, tiles::declines_head_loss, tiles::on<Unit::amx, tiles::head_loss>},
     {"avx512:bf16", tiles::no_avx512, tiles::declines_head_loss, tiles::on<Unit::avx512, tiles::head_loss>},
     {"reference", always, accepts_all<HeadLossArgs>, product::head_loss}}};

void product::head_loss(const HeadLossArgs& args) {
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

}  // namespace blalm::kernels
