#include "blalm/kernels/gate.h"

namespace blalm::kernels {

const Kernel<GatedArgs> gated{"gated", {{"reference", always, accepts_all<GatedArgs>, reference::gated}}};
const Kernel<GatedBackwardArgs> gated_backward{
    "gated_backward", {{"reference", always, accepts_all<GatedBackwardArgs>, reference::gated_backward}}};

}  // namespace blalm::kernels
