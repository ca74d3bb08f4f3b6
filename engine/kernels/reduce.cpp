#include "blalm/kernels/reduce.h"

namespace blalm::kernels {

const Kernel<ReduceArgs> reduce{"reduce", {{"reference", always, accepts_all<ReduceArgs>, reference::reduce}}};
const Kernel<CumsumArgs> cumsum{"cumsum", {{"reference", always, accepts_all<CumsumArgs>, reference::cumsum}}};

}  // namespace blalm::kernels
