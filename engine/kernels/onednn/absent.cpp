// What stands in for this folder when the project is built without oneDNN: the lines stay in the lists and say why.
#include "blalm/kernels/matmul.h"
#include "blalm/kernels/onednn/best_matmul.h"

namespace blalm::kernels::onednn {

Reason unavailable() { return "built with -DBLALM_ONEDNN=OFF"; }
Reason unavailable_bf16() { return unavailable(); }
Reason declines_matmul_f32(const MatmulArgs&) { return unavailable(); }
Reason declines_matmul_bf16(const MatmulArgs&) { return unavailable(); }
void matmul(const MatmulArgs&) {}

Reason best_matmul_unavailable(DType) { return unavailable(); }
std::vector<double> time_best_matmul(const LinearShape&, std::int64_t) { return {}; }
std::string version() { return {}; }

}  // namespace blalm::kernels::onednn
