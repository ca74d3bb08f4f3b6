#include "blalm/kernels/linear.h"

#include "blalm/kernels/elementwise.h"
#include "blalm/kernels/matmul.h"

namespace blalm::kernels {

using tiles::Unit;

const Kernel<LinearArgs> linear{
    "linear",
    {{"amx:bf16", tiles::no_amx, tiles::declines_linear, tiles::on<Unit::amx, tiles::linear>},
     {"avx512:bf16", tiles::no_avx512, tiles::declines_linear, tiles::on<Unit::avx512, tiles::linear>},
     {"reference", always, accepts_all<LinearArgs>, product::linear}}};

const Kernel<LinearDataArgs> linear_data{
    "linear_data",
    {{"amx:bf16", tiles::no_amx, tiles::declines_linear_data, tiles::on<Unit::amx, tiles::linear_data>},
     {"avx512:bf16", tiles::no_avx512, tiles::declines_linear_data, tiles::on<Unit::avx512, tiles::linear_data>},
     {"reference", always, accepts_all<LinearDataArgs>, product::linear_data}}};

const Kernel<LinearWeightArgs> linear_weight{
    "linear_weight",
    {{"amx:bf16", tiles::no_amx, tiles::declines_linear_weight, tiles::on<Unit::amx, tiles::linear_weight>},
     {"avx512:bf16", tiles::no_avx512, tiles::declines_linear_weight, tiles::on<Unit::avx512, tiles::linear_weight>},
     {"reference", always, accepts_all<LinearWeightArgs>, product::linear_weight}}};

namespace product {

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

}  // namespace product
}  // namespace blalm::kernels
