// oneDNN's matrix product.
#pragma once

#include "engine/kernels/matmul.h"

namespace blalm::kernels::onednn {

Reason unavailable();
Reason unavailable_bf16();
Reason declines_matmul_f32(const MatmulArgs&);
Reason declines_matmul_bf16(const MatmulArgs&);
void matmul(const MatmulArgs&);

}  // namespace blalm::kernels::onednn
