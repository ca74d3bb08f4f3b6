#include "blalm/kernels/modulation.h"

namespace blalm::kernels {

const Kernel<ModulateArgs> modulate{"modulate",
                                    {{"reference", always, accepts_all<ModulateArgs>, reference::modulate}}};
const Kernel<ModulateBackwardArgs> modulate_backward{
    "modulate_backward", {{"reference", always, accepts_all<ModulateBackwardArgs>, reference::modulate_backward}}};

}  // namespace blalm::kernels
