// bf16 by tiles of AMX or AVX-512 (unit.h).
#pragma once

#include "engine/kernels/attention.h"
#include "engine/kernels/cross_entropy.h"
#include "engine/kernels/linear.h"
#include "engine/kernels/mlstm.h"
#include "engine/kernels/tiles/unit.h"

namespace blalm::kernels::tiles {

Reason declines_attention(const AttentionArgs&);
void attention(const AttentionArgs&, Unit);
Reason declines_attention_backward(const AttentionBackwardArgs&);
void attention_backward(const AttentionBackwardArgs&, Unit);

Reason declines_head_loss(const HeadLossArgs&);
void head_loss(const HeadLossArgs&, Unit);

Reason declines_linear(const LinearArgs&);
Reason declines_linear_data(const LinearDataArgs&);
Reason declines_linear_weight(const LinearWeightArgs&);
void linear(const LinearArgs&, Unit);
void linear_data(const LinearDataArgs&, Unit);
void linear_weight(const LinearWeightArgs&, Unit);

void mlstm_chunkwise(const MlstmArgs&, Unit);
void mlstm_chunkwise_backward(const MlstmBackwardArgs&, Unit);

}  // namespace blalm::kernels::tiles
