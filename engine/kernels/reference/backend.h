// Plain loops for every dtype, complex numbers included: what everything else is held to.
#pragma once

#include "engine/kernels/accumulate.h"
#include "engine/kernels/attention.h"
#include "engine/kernels/copy.h"
#include "engine/kernels/cross_entropy.h"
#include "engine/kernels/dropout.h"
#include "engine/kernels/elementwise.h"
#include "engine/kernels/embedding.h"
#include "engine/kernels/hedgehog.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/mlstm.h"
#include "engine/kernels/mlstm_gate.h"
#include "engine/kernels/norm.h"
#include "engine/kernels/reduce.h"
#include "engine/kernels/rope.h"
#include "engine/kernels/short_conv.h"
#include "engine/kernels/softmax.h"
#include "engine/kernels/swiglu.h"
#include "engine/kernels/transpose.h"

namespace blalm::kernels::reference {

Reason declines_accumulate(const AccumulateArgs&);
void accumulate(const AccumulateArgs&);

void attention(const AttentionArgs&);
void attention_backward(const AttentionBackwardArgs&);

Reason declines_copy(const CopyArgs&);
void copy(const CopyArgs&);

void cross_entropy(const CrossEntropyArgs&);
void cross_entropy_backward(const CrossEntropyBackwardArgs&);

void dropout(const DropoutArgs&);

void unary(const UnaryArgs&);
void unary_backward(const UnaryBackwardArgs&);
void binary(const BinaryArgs&);

void embedding(const EmbeddingArgs&);
void embedding_backward(const EmbeddingBackwardArgs&);

void hedgehog(const HedgehogArgs&);
void hedgehog_backward(const HedgehogBackwardArgs&);

void matmul(const MatmulArgs&);

void mlstm_recurrent(const MlstmArgs&);
void mlstm_recurrent_backward(const MlstmBackwardArgs&);
void mlstm_parallel(const MlstmArgs&);
void mlstm_parallel_backward(const MlstmBackwardArgs&);
void mlstm_chunkwise(const MlstmArgs&);
void mlstm_chunkwise_backward(const MlstmBackwardArgs&);

void mlstm_gate(const MlstmGateArgs&);
void mlstm_gate_backward(const MlstmGateBackwardArgs&);

void rms_norm(const RmsNormArgs&);
void rms_norm_again(const RmsNormAgainArgs&);
void rms_norm_backward(const RmsNormBackwardArgs&);
void head_norm(const HeadNormArgs&);
void head_norm_backward(const HeadNormBackwardArgs&);

void reduce(const ReduceArgs&);
void cumsum(const CumsumArgs&);

void rope(const RopeArgs&);

void short_conv(const ShortConvArgs&);
void short_conv_backward(const ShortConvBackwardArgs&);

void softmax(const SoftmaxArgs&);
void softmax_backward(const SoftmaxBackwardArgs&);

void swiglu(const SwigluArgs&);
void swiglu_backward(const SwigluBackwardArgs&);

void transpose(const TransposeArgs&);

}  // namespace blalm::kernels::reference
