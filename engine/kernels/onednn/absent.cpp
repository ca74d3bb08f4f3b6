// What stands in for this folder when the project is built without oneDNN: the lines stay in the lists and say why.
#include "blalm/kernels/matmul.h"

namespace blalm::kernels::onednn {

Reason unavailable() { return "built with -DBLALM_ONEDNN=OFF"; }
Reason unavailable_bf16() { return unavailable(); }
Reason declines_matmul_f32(const MatmulArgs&) { return unavailable(); }
Reason declines_matmul_bf16(const MatmulArgs&) { return unavailable(); }
void matmul(const MatmulArgs&) {}

}  // namespace blalm::kernels::onednn
