#include "blalm/kernels/softmax.h"

namespace blalm::kernels {

const Kernel<SoftmaxArgs> softmax{"softmax", {{"reference", always, accepts_all<SoftmaxArgs>, reference::softmax}}};
const Kernel<SoftmaxBackwardArgs> softmax_backward{
    "softmax_backward", {{"reference", always, accepts_all<SoftmaxBackwardArgs>, reference::softmax_backward}}};

}  // namespace blalm::kernels
