#include "blalm/kernels/projection.h"

#include "blalm/kernels/elementwise.h"
#include "blalm/kernels/matmul.h"

namespace blalm::kernels {

using tiles::Unit;

const Kernel<ProjectArgs> project{
    "project",
    {{"amx:bf16", tiles::no_amx, tiles::declines_project, tiles::on<Unit::amx, tiles::project>},
     {"avx512:bf16", tiles::no_avx512, tiles::declines_project, tiles::on<Unit::avx512, tiles::project>},
     {"reference", always, accepts_all<ProjectArgs>, product::project}}};

const Kernel<ProjectDataArgs> project_data{
    "project_data",
    {{"amx:bf16", tiles::no_amx, tiles::declines_project_data, tiles::on<Unit::amx, tiles::project_data>},
     {"avx512:bf16", tiles::no_avx512, tiles::declines_project_data, tiles::on<Unit::avx512, tiles::project_data>},
     {"reference", always, accepts_all<ProjectDataArgs>, product::project_data}}};

const Kernel<ProjectWeightArgs> project_weight{
    "project_weight",
    {{"amx:bf16", tiles::no_amx, tiles::declines_project_weight, tiles::on<Unit::amx, tiles::project_weight>},
     {"avx512:bf16", tiles::no_avx512, tiles::declines_project_weight, tiles::on<Unit::avx512, tiles::project_weight>},
     {"reference", always, accepts_all<ProjectWeightArgs>, product::project_weight}}};

namespace product {

void project(const ProjectArgs& args) {
  for (const ProjectArgs::Output& o : args.outputs) {
    kernels::matmul({matrices(args.x), matrices(o.weight.to(args.x.dtype()), true), matrices(o.y)});
    if (o.bias.defined()) kernels::binary({Binary::add, o.y, o.bias.to(o.y.dtype()), o.y});
  }
}

void project_data(const ProjectDataArgs& args) {
  bool add = args.add;
  for (const ProjectDataArgs::Term& t : args.terms) {
    const DType dtype = args.dx.dtype();
    kernels::matmul({matrices(t.dy.to(dtype)), matrices(t.weight.to(dtype)), matrices(args.dx), 1, 1, 1.0, add});
    add = true;
  }
}

void project_weight(const ProjectWeightArgs& args) {
  for (const ProjectWeightArgs::Output& o : args.outputs)
    if (o.dw.defined())
      kernels::matmul({matrices(o.dy.to(args.x.dtype()), true), matrices(args.x), matrices(o.dw), 1, 1, 1.0, o.add_dw});
}

}  // namespace product
}  // namespace blalm::kernels
