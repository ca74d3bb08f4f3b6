// The tensors of the mLSTM as its implementations see them: a head, or a state, at a time. Pointers are fetched when a
// view is made, once and on one thread; an undefined tensor gives a view that is false.
#pragma once

#include <cstdint>
#include <type_traits>

#include "engine/kernels/mlstm.h"

namespace blalm::kernels {

// For reading where T is const, else for writing.
template <class T>
T* pointer_to(const Tensor& x) {
  if (!x.defined()) return nullptr;
  if constexpr (std::is_const_v<T>)
    return x.data<std::remove_const_t<T>>();
  else
    return x.mutable_data<T>();
}

// x [B, T, heads, width], or gates [B, T, heads], of which width is 1.
template <class X>
class HeadView {
 public:
  explicit HeadView(const Tensor& x) : data_(pointer_to<X>(x)) {
    if (data_ == nullptr) return;
    T_ = x.dim(1), heads_ = x.dim(2), width_ = x.rank() == 4 ? x.dim(3) : 1;
  }
  explicit operator bool() const { return data_ != nullptr; }
  // The `width` numbers of a head at position t of sequence b; those of position t + 1 are `stride` further.
  X* at(std::int64_t b, std::int64_t t, std::int64_t head) const {
    return data_ + ((b * T_ + t) * heads_ + head) * width_;
  }
  std::int64_t width() const { return width_; }
  std::int64_t stride() const { return heads_ * width_; }

 private:
  X* data_;
  std::int64_t T_ = 0, heads_ = 0, width_ = 0;
};

// States, numbered through all leading axes; their matrices may be of a narrower type than n and m.
template <class S, class M = S>
class CarryView {
 public:
  CarryView(const MlstmCarry& carry, const MlstmSizes& z)
      : C_(pointer_to<M>(carry.C)), n_(pointer_to<S>(carry.n)), m_(pointer_to<S>(carry.m)), D_(z.D), E_(z.E) {}
  explicit operator bool() const { return C_ != nullptr; }
  M* C(std::int64_t index) const { return C_ + index * D_ * E_; }  // [D, E]
  S* n(std::int64_t index) const { return n_ + index * D_; }       // [D]
  S& m(std::int64_t index) const { return m_[index]; }

 private:
  M* C_;
  S *n_, *m_;
  std::int64_t D_, E_;
};

}  // namespace blalm::kernels
