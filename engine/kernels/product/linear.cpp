#include "engine/kernels/linear.h"

#include "engine/kernels/elementwise.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/product/backend.h"

namespace blalm::kernels::product {

void linear(const LinearArgs& args) {
  for (const LinearArgs::Output& o : args.outputs) {
    kernels::matmul({matrices(args.x), matrices(o.weight.to(args.x.dtype()), true), matrices(o.y)});
    if (o.bias.defined()) kernels::binary({Binary::add, o.y, o.bias.to(o.y.dtype()), o.y});
  }
}

void linear_data(const LinearDataArgs& args) {
  bool add = args.add;
  for (const LinearDataArgs::Term& t : args.terms) {
    const DType dtype = args.dx.dtype();
    kernels::matmul({matrices(t.dy.to(dtype)), matrices(t.weight.to(dtype)), matrices(args.dx), 1, 1, 1.0, add});
    add = true;
  }
}

void linear_weight(const LinearWeightArgs& args) {
  for (const LinearWeightArgs::Output& o : args.outputs)
    if (o.dw.defined())
      kernels::matmul({matrices(o.dy.to(args.x.dtype()), true), matrices(args.x), matrices(o.dw), 1, 1, 1.0, o.add_dw});
}

}  // namespace blalm::kernels::product
