// The whole dispatch policy on one page: every kernel's implementations, top to bottom. The first that does not object
// runs (kernel.h). A kernel with one function runs it everywhere, on anything.
#include <vector>

#include "engine/kernels/accumulate.h"
#include "engine/kernels/eigen/backend.h"
#include "engine/kernels/kernel.h"
#include "engine/kernels/mlstm_rules.h"
#include "engine/kernels/onednn/backend.h"
#include "engine/kernels/product/backend.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/tiles/backend.h"

namespace blalm {
namespace {

// Every kernel of the engine, in the order of this page.
std::vector<const KernelBase*>& all() {
  static std::vector<const KernelBase*> list;
  return list;
}

}  // namespace

const std::vector<const KernelBase*>& all_kernels() { return all(); }

namespace kernels {

using tiles::no_amx;
using tiles::no_avx512;
using enum tiles::Unit;

// Products of matrices, and what is made of them.
const Kernel<MatmulArgs> matmul{
    all(), "matmul",
    {{"onednn:bf16", onednn::unavailable_bf16, onednn::declines_matmul_bf16, onednn::matmul},
     {"onednn:f32", onednn::unavailable, onednn::declines_matmul_f32, onednn::matmul},
     {"eigen", always, eigen::declines_matmul, eigen::matmul},
     {"reference", always, accepts_all<MatmulArgs>, reference::matmul}}};

const Kernel<LinearArgs> linear{
    all(), "linear",
    {{"amx:bf16", no_amx, tiles::declines_linear, tiles::on<amx, tiles::linear>},
     {"avx512:bf16", no_avx512, tiles::declines_linear, tiles::on<avx512, tiles::linear>},
     {"product", always, accepts_all<LinearArgs>, product::linear}}};
const Kernel<LinearDataArgs> linear_data{
    all(), "linear_data",
    {{"amx:bf16", no_amx, tiles::declines_linear_data, tiles::on<amx, tiles::linear_data>},
     {"avx512:bf16", no_avx512, tiles::declines_linear_data, tiles::on<avx512, tiles::linear_data>},
     {"product", always, accepts_all<LinearDataArgs>, product::linear_data}}};
const Kernel<LinearWeightArgs> linear_weight{
    all(), "linear_weight",
    {{"amx:bf16", no_amx, tiles::declines_linear_weight, tiles::on<amx, tiles::linear_weight>},
     {"avx512:bf16", no_avx512, tiles::declines_linear_weight, tiles::on<avx512, tiles::linear_weight>},
     {"product", always, accepts_all<LinearWeightArgs>, product::linear_weight}}};
const Kernel<HeadLossArgs> head_loss{
    all(), "head_loss",
    {{"amx:bf16", no_amx, tiles::declines_head_loss, tiles::on<amx, tiles::head_loss>},
     {"avx512:bf16", no_avx512, tiles::declines_head_loss, tiles::on<avx512, tiles::head_loss>},
     {"product", always, accepts_all<HeadLossArgs>, product::head_loss}}};

// Sequences.
const Kernel<AttentionArgs> attention{
    all(), "attention",
    {{"amx:bf16", no_amx, tiles::declines_attention, tiles::on<amx, tiles::attention>},
     {"avx512:bf16", no_avx512, tiles::declines_attention, tiles::on<avx512, tiles::attention>},
     {"eigen", always, eigen::declines_attention, eigen::attention},
     {"reference", always, accepts_all<AttentionArgs>, reference::attention}}};
const Kernel<AttentionBackwardArgs> attention_backward{
    all(), "attention_backward",
    {{"amx:bf16", no_amx, tiles::declines_attention_backward, tiles::on<amx, tiles::attention_backward>},
     {"avx512:bf16", no_avx512, tiles::declines_attention_backward, tiles::on<avx512, tiles::attention_backward>},
     {"eigen", always, eigen::declines_attention_backward, eigen::attention_backward},
     {"reference", always, accepts_all<AttentionBackwardArgs>, reference::attention_backward}}};

const Kernel<MlstmArgs> mlstm{
    all(), "mlstm",
    {{"eigen:recurrent", always, recurrent_in_f32<MlstmArgs>, eigen::mlstm_recurrent},
     {"amx:chunkwise", no_amx, chunkwise_in_tiles<MlstmArgs>, tiles::on<amx, tiles::mlstm_chunkwise>},
     {"avx512:chunkwise", no_avx512, chunkwise_in_tiles<MlstmArgs>, tiles::on<avx512, tiles::mlstm_chunkwise>},
     {"eigen:chunkwise", always, chunkwise_in_f32<MlstmArgs>, eigen::mlstm_chunkwise},
     {"reference:recurrent", always, recurrent_only<MlstmArgs>, reference::mlstm_recurrent},
     {"reference:parallel", always, stateless_parallel_only, reference::mlstm_parallel},
     {"reference:chunkwise", always, chunkwise_only<MlstmArgs>, reference::mlstm_chunkwise}}};
const Kernel<MlstmBackwardArgs> mlstm_backward{
    all(), "mlstm_backward",
    {{"amx:chunkwise", no_amx, chunkwise_in_tiles<MlstmBackwardArgs>, tiles::on<amx, tiles::mlstm_chunkwise_backward>},
     {"avx512:chunkwise", no_avx512, chunkwise_in_tiles<MlstmBackwardArgs>,
      tiles::on<avx512, tiles::mlstm_chunkwise_backward>},
     {"eigen:chunkwise", always, chunkwise_in_f32<MlstmBackwardArgs>, eigen::mlstm_chunkwise_backward},
     {"reference:recurrent", always, recurrent_only<MlstmBackwardArgs>, reference::mlstm_recurrent_backward},
     {"reference:parallel", always, parallel_only<MlstmBackwardArgs>, reference::mlstm_parallel_backward},
     {"reference:chunkwise", always, chunkwise_only<MlstmBackwardArgs>, reference::mlstm_chunkwise_backward}}};

const Kernel<MlstmGateArgs> mlstm_gate{all(), "mlstm_gate", reference::mlstm_gate};
const Kernel<MlstmGateBackwardArgs> mlstm_gate_backward{all(), "mlstm_gate_backward", reference::mlstm_gate_backward};
const Kernel<HedgehogArgs> hedgehog{all(), "hedgehog", reference::hedgehog};
const Kernel<HedgehogBackwardArgs> hedgehog_backward{all(), "hedgehog_backward", reference::hedgehog_backward};
const Kernel<ShortConvArgs> short_conv{all(), "short_conv", reference::short_conv};
const Kernel<ShortConvBackwardArgs> short_conv_backward{all(), "short_conv_backward", reference::short_conv_backward};
const Kernel<RopeArgs> rope{all(), "rope", reference::rope};

// Rows.
const Kernel<RmsNormArgs> rms_norm{all(), "rms_norm", reference::rms_norm};
const Kernel<RmsNormAgainArgs> rms_norm_again{all(), "rms_norm_again", reference::rms_norm_again};
const Kernel<RmsNormBackwardArgs> rms_norm_backward{all(), "rms_norm_backward", reference::rms_norm_backward};
const Kernel<HeadNormArgs> head_norm{all(), "head_norm", reference::head_norm};
const Kernel<HeadNormBackwardArgs> head_norm_backward{all(), "head_norm_backward", reference::head_norm_backward};
const Kernel<SoftmaxArgs> softmax{all(), "softmax", reference::softmax};
const Kernel<SoftmaxBackwardArgs> softmax_backward{all(), "softmax_backward", reference::softmax_backward};
const Kernel<CrossEntropyArgs> cross_entropy{all(), "cross_entropy", reference::cross_entropy};
const Kernel<CrossEntropyBackwardArgs> cross_entropy_backward{all(), "cross_entropy_backward",
                                                              reference::cross_entropy_backward};
const Kernel<EmbeddingArgs> embedding{all(), "embedding", reference::embedding};
const Kernel<EmbeddingBackwardArgs> embedding_backward{all(), "embedding_backward", reference::embedding_backward};
const Kernel<ReduceArgs> reduce{all(), "reduce", reference::reduce};
const Kernel<CumsumArgs> cumsum{all(), "cumsum", reference::cumsum};

// Elements.
const Kernel<UnaryArgs> unary{all(), "unary", reference::unary};
const Kernel<UnaryBackwardArgs> unary_backward{all(), "unary_backward", reference::unary_backward};
const Kernel<BinaryArgs> binary{all(), "binary", reference::binary};
const Kernel<SwigluArgs> swiglu{all(), "swiglu", reference::swiglu};
const Kernel<SwigluBackwardArgs> swiglu_backward{all(), "swiglu_backward", reference::swiglu_backward};
const Kernel<DropoutArgs> dropout{all(), "dropout", reference::dropout};
const Kernel<AccumulateArgs> accumulate{
    all(), "accumulate", {{"reference", always, reference::declines_accumulate, reference::accumulate}}};
const Kernel<CopyArgs> copy{all(), "copy", {{"reference", always, reference::declines_copy, reference::copy}}};
const Kernel<TransposeArgs> transpose{all(), "transpose", reference::transpose};

}  // namespace kernels
}  // namespace blalm
