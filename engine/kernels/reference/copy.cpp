#include "engine/kernels/copy.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"

namespace blalm::kernels::reference {
namespace {

// Whether all blocks of one side lie in its tensor.
[[maybe_unused]] bool inside(const Blocks& b, const CopyArgs& a) {
  if (a.count == 0 || a.size == 0) return true;
  return b.offset >= 0 && b.stride >= 0 && b.offset + (a.count - 1) * b.stride + a.size <= b.tensor.numel();
}

// Calls run(from, to, n) on contiguous pieces, in element positions. Threads share elements, not blocks: one long block
// is work for all of them.
template <class Run>
void for_pieces(const CopyArgs& a, Run&& run) {
  assert(inside(a.from, a) && inside(a.to, a));
  parallel_for(a.count * a.size, 0.5, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end;) {
      const std::int64_t block = at / a.size, within = at % a.size, n = std::min(a.size - within, end - at);
      run(a.from.offset + block * a.from.stride + within, a.to.offset + block * a.to.stride + within, n);
      at += n;
    }
  });
}

template <class From, class To>
void convert(const CopyArgs& a) {
  using C = Compute<To>;
  const From* from = a.from.tensor.data<From>();
  To* to = a.to.tensor.mutable_data<To>();
  for_pieces(a, [&](std::int64_t f, std::int64_t t, std::int64_t n) {
    const From* in = from + f;
    To* out = to + t;
    if (a.add)
      for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<To>(static_cast<C>(out[i]) + static_cast<C>(in[i]));
    else
      for (std::int64_t i = 0; i < n; ++i) out[i] = static_cast<To>(static_cast<C>(in[i]));
  });
}

}  // namespace

Reason declines_copy(const CopyArgs& a) {
  const DType from = a.from.tensor.dtype(), to = a.to.tensor.dtype();
  if (from != to && !(from == DType::bf16 && to == DType::f32)) return "only bf16 to f32 is converted";
  return a.add && !is_floating(to) ? "ids are not added" : nullptr;
}

void copy(const CopyArgs& a) {
  const DType dtype = a.to.tensor.dtype();
  if (a.from.tensor.dtype() != dtype) {
    convert<BFloat16, float>(a);
  } else if (a.add) {
    visit_floating(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      convert<T, T>(a);
    });
  } else {
    const auto* from = static_cast<const std::byte*>(a.from.tensor.raw());
    auto* to = static_cast<std::byte*>(a.to.tensor.mutable_raw());
    const std::int64_t bytes = size_of(dtype);
    for_pieces(a, [=](std::int64_t f, std::int64_t t, std::int64_t n) {
      std::memcpy(to + t * bytes, from + f * bytes, static_cast<std::size_t>(n * bytes));
    });
  }
}

}  // namespace blalm::kernels::reference
