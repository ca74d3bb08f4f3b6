// Matrix products and what is built of them, with Eigen, in f32 and f64.
#pragma once

#include "engine/kernels/attention.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/mlstm.h"

namespace blalm::kernels::eigen {

Reason declines_attention(const AttentionArgs&);
void attention(const AttentionArgs&);
Reason declines_attention_backward(const AttentionBackwardArgs&);
void attention_backward(const AttentionBackwardArgs&);

Reason declines_matmul(const MatmulArgs&);
void matmul(const MatmulArgs&);

void mlstm_recurrent(const MlstmArgs&);
void mlstm_chunkwise(const MlstmArgs&);
void mlstm_chunkwise_backward(const MlstmBackwardArgs&);

}  // namespace blalm::kernels::eigen
