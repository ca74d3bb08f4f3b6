#include "blalm/kernels/short_conv.h"

namespace blalm::kernels {

const Kernel<ShortConvArgs> short_conv{"short_conv",
                                       {{"reference", always, accepts_all<ShortConvArgs>, reference::short_conv}}};
const Kernel<ShortConvBackwardArgs> short_conv_backward{
    "short_conv_backward", {{"reference", always, accepts_all<ShortConvBackwardArgs>, reference::short_conv_backward}}};

}  // namespace blalm::kernels
