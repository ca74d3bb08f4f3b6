#include "blalm/kernels/copy.h"

namespace blalm::kernels {

const Kernel<CopyArgs> copy{"copy", {{"reference", always, reference::declines_copy, reference::copy}}};

}  // namespace blalm::kernels
