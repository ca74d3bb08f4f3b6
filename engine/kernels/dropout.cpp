#include "blalm/kernels/dropout.h"

namespace blalm::kernels {

const Kernel<DropoutArgs> dropout{"dropout", {{"reference", always, accepts_all<DropoutArgs>, reference::dropout}}};

}  // namespace blalm::kernels
