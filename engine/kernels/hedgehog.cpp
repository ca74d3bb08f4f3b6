#include "blalm/kernels/hedgehog.h"

namespace blalm::kernels {

const Kernel<HedgehogArgs> hedgehog{"hedgehog",
                                    {{"reference", always, accepts_all<HedgehogArgs>, reference::hedgehog}}};
const Kernel<HedgehogBackwardArgs> hedgehog_backward{
    "hedgehog_backward", {{"reference", always, accepts_all<HedgehogBackwardArgs>, reference::hedgehog_backward}}};

}  // namespace blalm::kernels
