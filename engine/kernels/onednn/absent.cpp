// What stands in for this folder when the project is built without oneDNN: the lines stay in the lists and say why.
#include "engine/core/error.h"
#include "engine/kernels/onednn/backend.h"
#include "engine/kernels/onednn/best_matmul.h"

namespace blalm::kernels::onednn {

Reason unavailable() { return "built with -DBLALM_ONEDNN=OFF"; }
Reason unavailable_bf16() { return unavailable(); }
Reason declines_matmul_f32(const MatmulArgs&) { return unavailable(); }
Reason declines_matmul_bf16(const MatmulArgs&) { return unavailable(); }
void matmul(const MatmulArgs&) {}

Reason best_matmul_unavailable(DType) { return unavailable(); }
struct BestMatmul::Parts {};
BestMatmul::BestMatmul(const LinearShape&) {
  throw ConfigError(expected_got("best matmul", "a build with oneDNN", unavailable()));
}
BestMatmul::BestMatmul(BestMatmul&&) noexcept = default;
BestMatmul::~BestMatmul() = default;
double BestMatmul::run() { return 0; }
std::string version() { return {}; }

}  // namespace blalm::kernels::onednn
