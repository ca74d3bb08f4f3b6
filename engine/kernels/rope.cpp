#include "blalm/kernels/rope.h"

namespace blalm::kernels {

const Kernel<RopeArgs> rope{"rope", {{"reference", always, accepts_all<RopeArgs>, reference::rope}}};

}  // namespace blalm::kernels
