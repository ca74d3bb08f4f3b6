// Which calls of the mLSTM an implementation takes: each is one form, for some dtypes and shapes.
#pragma once

#include "engine/kernels/mlstm.h"

namespace blalm::kernels {

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

inline Reason stateless_parallel_only(const MlstmArgs& a) {
  if (a.first.defined() || a.last.defined()) return "the parallel form carries no state";
  return parallel_only(a);
}

template <class Args>
Reason f32_only(const Args& a) {
  return a.q.dtype() == DType::f32 || a.q.dtype() == DType::bf16 ? nullptr : "takes f32 and bf16 only";
}

template <class Args>
Reason recurrent_in_f32(const Args& a) {
  const Reason reason = recurrent_only(a);
  return reason != nullptr ? reason : f32_only(a);
}

template <class Args>
Reason chunkwise_in_f32(const Args& a) {
  const Reason reason = chunkwise_only(a);
  return reason != nullptr ? reason : f32_only(a);
}

// By tiles, which take head widths in whole tiles.
template <class Args>
Reason chunkwise_in_tiles(const Args& a) {
  if (a.q.dtype() != DType::bf16) return "takes bf16 only";
  if (a.q.dim(3) % 32 != 0 || a.v.dim(3) % 32 != 0 || a.v.dim(3) == 0) return "takes head widths of 32, 64, 96, …";
  return chunkwise_only(a);
}

}  // namespace blalm::kernels
