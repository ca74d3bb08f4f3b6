// What stands in for this folder where the compiler does not know AMX: the lines stay in the lists and say why.
#include "blalm/kernels/attention.h"
#include "blalm/kernels/cross_entropy.h"
#include "blalm/kernels/mlstm.h"
#include "blalm/kernels/projection.h"

namespace blalm::kernels::amx {

Reason unavailable() { return "built for a processor without AMX"; }
Reason declines_project(const ProjectArgs&) { return unavailable(); }
Reason declines_project_data(const ProjectDataArgs&) { return unavailable(); }
Reason declines_project_weight(const ProjectWeightArgs&) { return unavailable(); }
Reason declines_head_loss(const HeadLossArgs&) { return unavailable(); }
void head_loss(const HeadLossArgs&) {}
Reason declines_attention(const AttentionArgs&) { return unavailable(); }
Reason declines_attention_backward(const AttentionBackwardArgs&) { return unavailable(); }
void attention(const AttentionArgs&) {}
void attention_backward(const AttentionBackwardArgs&) {}
void project(const ProjectArgs&) {}
void project_data(const ProjectDataArgs&) {}
void project_weight(const ProjectWeightArgs&) {}
void mlstm_chunkwise(const MlstmArgs&) {}
void mlstm_chunkwise_backward(const MlstmBackwardArgs&) {}

}  // namespace blalm::kernels::amx
