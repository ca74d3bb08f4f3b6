#include "engine/kernels/transpose.h"

#include <algorithm>
#include <cstring>

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"

namespace blalm::kernels::reference {
namespace {

// Side of the square tiles: rows of both sides of one tile fit into the first-level cache.
constexpr std::int64_t kTile = 32;

// One axis of the result, seen from both sides (strides in elements).
struct Axis {
  std::int64_t size, in, out;
};

// The axes of y, without those of size 1, and with neighbours joined that are neighbours in x as well.
struct Axes {
  std::array<Axis, kMaxRank> list{};
  std::size_t count = 0;

  explicit Axes(const TransposeArgs& a) {
    const int rank = a.x.rank();
    std::array<std::int64_t, kMaxRank> stride{};
    for (int i = rank - 1, step = 0; i >= 0; --i, ++step)
      stride[static_cast<std::size_t>(i)] =
          step == 0 ? 1 : stride[static_cast<std::size_t>(i) + 1] * a.x.shape()[i + 1];
    for (int i = 0; i < rank; ++i) {
      const Axis next{a.y.shape()[i], stride[static_cast<std::size_t>(a.axes[static_cast<std::size_t>(i)])], 0};
      if (next.size == 1) continue;
      if (count > 0 && list[count - 1].in == next.in * next.size)
        list[count - 1] = {list[count - 1].size * next.size, next.in, 0};
      else
        list[count++] = next;
    }
    if (count == 0) list[count++] = {1, 1, 0};
    std::int64_t step = 1;
    for (std::size_t i = count; i-- > 0; step *= list[i].size) list[i].out = step;
  }

  // Takes an axis out of the list.
  Axis take(std::size_t at) {
    const Axis taken = list[at];
    std::copy(list.begin() + static_cast<std::ptrdiff_t>(at) + 1, list.begin() + static_cast<std::ptrdiff_t>(count),
              list.begin() + static_cast<std::ptrdiff_t>(at));
    --count;
    return taken;
  }
  std::int64_t positions() const {
    std::int64_t n = 1;
    for (std::size_t i = 0; i < count; ++i) n *= list[i].size;
    return n;
  }
  // Offsets on both sides of one of those positions.
  std::pair<std::int64_t, std::int64_t> offsets(std::int64_t position) const {
    std::int64_t in = 0, out = 0;
    for (std::size_t i = count; i-- > 0; position /= list[i].size) {
      in += position % list[i].size * list[i].in;
      out += position % list[i].size * list[i].out;
    }
    return {in, out};
  }
};

// T is any type of the element's size: elements are only moved.
template <class T>
void run(const TransposeArgs& a) {
  const T* x = static_cast<const T*>(a.x.raw());
  T* y = static_cast<T*>(a.y.mutable_raw());
  Axes axes(a);
  const Axis last = axes.take(axes.count - 1);
  if (last.in == 1) {  // rows stay rows
    parallel_for(axes.positions(), 0.5 * static_cast<double>(last.size), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const auto [in, out] = axes.offsets(i);
        std::memcpy(y + out, x + in, static_cast<std::size_t>(last.size) * sizeof(T));
      }
    });
    return;
  }
  // Some other axis is the rows of x: with `last` it spans matrices to be transposed, tile by tile.
  std::size_t at = 0;
  while (axes.list[at].in != 1) ++at;
  const Axis row = axes.take(at);
  const std::int64_t strips = (row.size + kTile - 1) / kTile;
  parallel_for(axes.positions() * strips, static_cast<double>(kTile * last.size),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const auto [in, out] = axes.offsets(i / strips);
                   const std::int64_t r0 = i % strips * kTile, r1 = std::min(row.size, r0 + kTile);
                   for (std::int64_t c0 = 0; c0 < last.size; c0 += kTile) {
                     const std::int64_t c1 = std::min(last.size, c0 + kTile);
                     for (std::int64_t r = r0; r < r1; ++r) {
                       const T* from = x + in + r;
                       T* to = y + out + r * row.out;
                       for (std::int64_t c = c0; c < c1; ++c) to[c] = from[c * last.in];
                     }
                   }
                 }
               });
}

}  // namespace

void transpose(const TransposeArgs& a) {
  if (a.x.numel() == 0) return;
  switch (size_of(a.x.dtype())) {
    case 2: return run<std::uint16_t>(a);
    case 4: return run<std::uint32_t>(a);
    case 8: return run<std::uint64_t>(a);
    default: return run<Complex>(a);
  }
}

}  // namespace blalm::kernels::reference
