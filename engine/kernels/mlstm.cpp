#include "blalm/kernels/mlstm.h"

namespace blalm::kernels {

using tiles::Unit;
namespace {

bool narrow(const Tensor& x) { return x.dtype() == DType::f32 || x.dtype() == DType::bf16; }

template <class Args>
Reason recurrent_only(const Args& a) {
  return a.form == MlstmForm::recurrent ? nullptr : "this is the recurrent form";
}

template <class Args>
Reason chunkwise_only(const Args& a) {
  return a.form == MlstmForm::chunkwise ? nullptr : "this is the chunkwise form";
}

template <class Args>
Reason parallel_only(const Args& a) {
  return a.form == MlstmForm::parallel ? nullptr : "this is the parallel form";
}

Reason stateless_parallel_only(const MlstmArgs& a) {
  if (a.first.defined() || a.last.defined()) return "the parallel form carries no state";
  return parallel_only(a);
}

// An implementation in f32 of the form that `declines` asks for.
template <class Args, Reason (*declines)(const Args&)>
Reason in_f32(const Args& a) {
  const Reason reason = declines(a);
  return reason == nullptr && !narrow(a.q) ? "takes f32 and bf16 only" : reason;
}

// By tiles, which take head widths in whole tiles.
template <class Args>
Reason chunkwise_in_tiles(const Args& a) {
  if (a.q.dtype() != DType::bf16) return "takes bf16 only";
  if (a.q.dim(3) % 32 != 0 || a.v.dim(3) % 32 != 0 || a.v.dim(3) == 0) return "takes head widths of 32, 64, 96, …";
  return chunkwise_only(a);
}

using Forward = MlstmArgs;
using Back = MlstmBackwardArgs;

}  // namespace

const Kernel<MlstmArgs> mlstm{
    "mlstm",
    {{"eigen:recurrent", always, in_f32<Forward, recurrent_only<Forward>>, eigen::mlstm_recurrent},
     {"amx:chunkwise", tiles::no_amx, chunkwise_in_tiles<Forward>, tiles::on<Unit::amx, tiles::mlstm_chunkwise>},
     {"avx512:chunkwise", tiles::no_avx512, chunkwise_in_tiles<Forward>,
      tiles::on<Unit::avx512, tiles::mlstm_chunkwise>},
     {"eigen:chunkwise", always, in_f32<Forward, chunkwise_only<Forward>>, eigen::mlstm_chunkwise},
     {"reference:recurrent", always, recurrent_only<Forward>, reference::mlstm_recurrent},
     {"reference:parallel", always, stateless_parallel_only, reference::mlstm_parallel},
     {"reference:chunkwise", always, chunkwise_only<Forward>, reference::mlstm_chunkwise}}};

const Kernel<MlstmBackwardArgs> mlstm_backward{
    "mlstm_backward",
    {{"amx:chunkwise", tiles::no_amx, chunkwise_in_tiles<Back>, tiles::on<Unit::amx, tiles::mlstm_chunkwise_backward>},
     {"avx512:chunkwise", tiles::no_avx512, chunkwise_in_tiles<Back>,
      tiles::on<Unit::avx512, tiles::mlstm_chunkwise_backward>},
     {"eigen:chunkwise", always, in_f32<Back, chunkwise_only<Back>>, eigen::mlstm_chunkwise_backward},
     {"reference:recurrent", always, recurrent_only<Back>, reference::mlstm_recurrent_backward},
     {"reference:parallel", always, parallel_only<Back>, reference::mlstm_parallel_backward},
     {"reference:chunkwise", always, chunkwise_only<Back>, reference::mlstm_chunkwise_backward}}};

}  // namespace blalm::kernels
