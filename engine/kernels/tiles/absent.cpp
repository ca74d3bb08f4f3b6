// What stands in for this folder where the build is not for x86-64: the lines stay in the lists and say why.
#include "engine/kernels/tiles/backend.h"

namespace blalm::kernels::tiles {

Reason no_amx() { return "built for a processor without AMX"; }
Reason no_avx512() { return "built for a processor without AVX-512"; }
Reason declines_linear(const LinearArgs&) { return no_avx512(); }
Reason declines_linear_data(const LinearDataArgs&) { return no_avx512(); }
Reason declines_linear_weight(const LinearWeightArgs&) { return no_avx512(); }
Reason declines_head_loss(const HeadLossArgs&) { return no_avx512(); }
void head_loss(const HeadLossArgs&, Unit) {}
Reason declines_attention(const AttentionArgs&) { return no_avx512(); }
Reason declines_attention_backward(const AttentionBackwardArgs&) { return no_avx512(); }
void attention(const AttentionArgs&, Unit) {}
void attention_backward(const AttentionBackwardArgs&, Unit) {}
void linear(const LinearArgs&, Unit) {}
void linear_data(const LinearDataArgs&, Unit) {}
void linear_weight(const LinearWeightArgs&, Unit) {}
void mlstm_chunkwise(const MlstmArgs&, Unit) {}
void mlstm_chunkwise_backward(const MlstmBackwardArgs&, Unit) {}

}  // namespace blalm::kernels::tiles
