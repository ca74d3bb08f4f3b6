#include "blalm/kernels/swiglu.h"

namespace blalm::kernels {

const Kernel<SwigluArgs> swiglu{"swiglu", {{"reference", always, accepts_all<SwigluArgs>, reference::swiglu}}};
const Kernel<SwigluBackwardArgs> swiglu_backward{
    "swiglu_backward", {{"reference", always, accepts_all<SwigluBackwardArgs>, reference::swiglu_backward}}};

}  // namespace blalm::kernels
