#include "blalm/kernels/transpose.h"

namespace blalm::kernels {

const Kernel<TransposeArgs> transpose{"transpose",
                                      {{"reference", always, accepts_all<TransposeArgs>, reference::transpose}}};

}  // namespace blalm::kernels
