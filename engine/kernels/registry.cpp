#include "blalm/kernels/registry.h"

#include "blalm/kernels/accumulate.h"
#include "blalm/kernels/attention.h"
#include "blalm/kernels/copy.h"
#include "blalm/kernels/cross_entropy.h"
#include "blalm/kernels/dropout.h"
#include "blalm/kernels/elementwise.h"
#include "blalm/kernels/embedding.h"
#include "blalm/kernels/hedgehog.h"
#include "blalm/kernels/linear.h"
#include "blalm/kernels/matmul.h"
#include "blalm/kernels/mlstm.h"
#include "blalm/kernels/mlstm_gate.h"
#include "blalm/kernels/norm.h"
#include "blalm/kernels/reduce.h"
#include "blalm/kernels/rope.h"
#include "blalm/kernels/short_conv.h"
#include "blalm/kernels/softmax.h"
#include "blalm/kernels/swiglu.h"
#include "blalm/kernels/transpose.h"

namespace blalm {

const std::vector<const KernelBase*>& all_kernels() {
  using namespace kernels;
  static const std::vector<const KernelBase*> list = {
      &accumulate,
      &attention,
      &attention_backward,
      &embedding,
      &embedding_backward,
      &cross_entropy,
      &cross_entropy_backward,
      &head_loss,
      &unary,
      &unary_backward,
      &binary,
      &reduce,
      &cumsum,
      &matmul,
      &linear,
      &linear_data,
      &linear_weight,
      &mlstm,
      &mlstm_backward,
      &mlstm_gate,
      &mlstm_gate_backward,
      &rms_norm,
      &rms_norm_again,
      &rms_norm_backward,
      &copy,
      &transpose,
      &softmax,
      &softmax_backward,
      &head_norm,
      &head_norm_backward,
      &swiglu,
      &swiglu_backward,
      &rope,
      &short_conv,
      &short_conv_backward,
      &dropout,
      &hedgehog,
      &hedgehog_backward,
  };
  return list;
}

}  // namespace blalm
