#include "blalm/kernels/cross_entropy.h"

namespace blalm::kernels {

const Kernel<CrossEntropyArgs> cross_entropy{
    "cross_entropy", {{"reference", always, accepts_all<CrossEntropyArgs>, reference::cross_entropy}}};
const Kernel<CrossEntropyBackwardArgs> cross_entropy_backward{
    "cross_entropy_backward",
    {{"reference", always, accepts_all<CrossEntropyBackwardArgs>, reference::cross_entropy_backward}}};

}  // namespace blalm::kernels
