#include "blalm/kernels/norm.h"

namespace blalm::kernels {

const Kernel<RmsNormArgs> rms_norm{"rms_norm", {{"reference", always, accepts_all<RmsNormArgs>, reference::rms_norm}}};
const Kernel<RmsNormAgainArgs> rms_norm_again{
    "rms_norm_again", {{"reference", always, accepts_all<RmsNormAgainArgs>, reference::rms_norm_again}}};
const Kernel<RmsNormBackwardArgs> rms_norm_backward{
    "rms_norm_backward", {{"reference", always, accepts_all<RmsNormBackwardArgs>, reference::rms_norm_backward}}};
const Kernel<HeadNormArgs> head_norm{"head_norm",
                                     {{"reference", always, accepts_all<HeadNormArgs>, reference::head_norm}}};
const Kernel<HeadNormBackwardArgs> head_norm_backward{
    "head_norm_backward", {{"reference", always, accepts_all<HeadNormBackwardArgs>, reference::head_norm_backward}}};

}  // namespace blalm::kernels
