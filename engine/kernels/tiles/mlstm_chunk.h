// What the chunkwise mLSTM by tiles keeps for one chunk of one head.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>
#include <type_traits>
#include <vector>

#include "engine/kernels/mlstm_math.h"
#include "engine/kernels/mlstm_view.h"
#include "engine/kernels/tiles/gemm.h"
#include "engine/kernels/tiles/rows.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::tiles {

// Memory that begins where a cache line does: a tile's rows then lie in one line each.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, kLine); }
  bool operator==(const LineAllocator&) const { return true; }
};
using Floats = std::vector<float, LineAllocator<float>>;
using Halves = std::vector<BFloat16, LineAllocator<BFloat16>>;

// An operand in tile order, packed by one thread.
class Packed {
 public:
  using Pack = void (*)(const Source&, BFloat16*, std::int64_t, std::int64_t);

  // `extra` columns blocks of room are left after those of the source.
  void pack(Pack pack, const Source& from, std::int64_t width, std::int64_t depth, std::int64_t extra = 0) {
    depth_ = depth;
    width_blocks_ = blocks(width);
    data_.resize(static_cast<std::size_t>((width_blocks_ + extra) * blocks(depth) * kPiece));
    pack(from, data_.data(), 0, width_blocks_ * blocks(depth));
  }
  // The extra block: one column after the others.
  void pack_column(const float* column) {
    const Source from{column, DType::f32, depth_, 1, 1};
    pack_right(from, data_.data() + width_blocks_ * blocks(depth_) * kPiece, 0, blocks(depth_));
  }
  Term right_of(const Left& left) const { return {left, data_.data(), blocks(depth_) * kPiece, blocks(depth_)}; }
  Left left() const { return Left::packed(data_.data(), depth_); }

 private:
  Halves data_;
  std::int64_t depth_ = 0, width_blocks_ = 0;
};

// The gates of a chunk of `size` positions (spec §5.5): b_t = Σ log σ(f), x_t = (b_t - m_t) / ln 2,
// y_s = (i_s - b_s) / ln 2.
struct ChunkGates {
  std::int64_t size = 0;
  Floats x, y;     // D_ts = 2^(x_t + y_s)
  Floats m, beta;  // m_t, β_t
  Floats log_f;
  Floats omega;     // ω_s, the last row of D
  float gamma = 0;  // β of the last position

  // Reads gates `stride` apart that follow a state stabilised by m_before. m_t is chosen, or read from `kept`.
  void start(const float* i, const float* f, const float* kept, std::int64_t stride, std::int64_t count,
             float m_before) {
    size = count;
    for (auto* v : {&x, &y, &m, &beta, &omega}) v->assign(static_cast<std::size_t>(padded(size)), 0);
    log_f.resize(x.size());
    for (std::int64_t t = 0; t < size; ++t) log_f[static_cast<std::size_t>(t)] = f[t * stride];
    for (float& value : log_f) value = vec::log_sigmoid(value);
    double b = 0, highest = m_before;  // sums of the exponents are in f64
    for (std::int64_t t = 0; t < size; ++t) {
      const auto at = static_cast<std::size_t>(t);
      b += log_f[at];
      const double after = i[t * stride] - b;
      highest = std::max(highest, after);
      m[at] = kept != nullptr ? kept[t * stride] : static_cast<float>(b + highest);
      x[at] = static_cast<float>(b - m[at]) * kLog2e;
      y[at] = static_cast<float>(after) * kLog2e;
      beta[at] = static_cast<float>(b - m[at] + m_before);
    }
    for (float& value : beta) value = vec::exp(value);
    gamma = beta[static_cast<std::size_t>(size - 1)];
    for (std::int64_t s = 0; s < size; s += kLanes) _mm512_store_ps(omega.data() + s, decay(size - 1, s));
  }

  // D_ts for s to s + 15, 0 where s > t; s is a multiple of 16.
  __m512 decay(std::int64_t t, std::int64_t s) const {
    const __m512 exponent = _mm512_add_ps(_mm512_set1_ps(x[static_cast<std::size_t>(t)]), _mm512_load_ps(y.data() + s));
    return _mm512_maskz_mov_ps(first_lanes(t + 1 - s), exp2(exponent));
  }
};

inline std::size_t area(std::int64_t rows, std::int64_t cols) { return static_cast<std::size_t>(rows * cols); }

// Rows of a head of x [B, T, heads, width], from position t on.
inline Source rows_of(const HeadView<const BFloat16>& x, std::int64_t b, std::int64_t t, std::int64_t head,
                      std::int64_t count) {
  return {x.at(b, t, head), DType::bf16, count, x.width(), x.stride()};
}
inline Left left_of(const Source& s) { return Left::rows(static_cast<const BFloat16*>(s.data), s.stride); }
inline const BFloat16* row(const Source& s, std::int64_t t) {
  return static_cast<const BFloat16*>(s.data) + t * s.stride;
}
inline Source matrix(const Floats& x, std::int64_t rows, std::int64_t cols) {
  return {x.data(), DType::f32, rows, cols, cols};
}
inline Source matrix(const Halves& x, std::int64_t rows, std::int64_t cols) {
  return {x.data(), DType::bf16, rows, cols, cols};
}

// c = left · right, c [rows, cols] f32, or c += when add.
inline void product(Multiplier& multiply, const Term& term, Floats& c, std::int64_t rows, std::int64_t cols,
                    bool add = false) {
  if (!add) c.resize(area(padded(rows), padded(cols)));
  Product p{{&term, 1}, c.data(), DType::f32, rows, cols, cols};
  p.add = add;
  multiply(p);
}

// The state of a head: C [D, E] and n [D] in f32.
struct State {
  Floats C, n;
  float m = 0;
  bool empty = true;

  void load(const CarryView<const float>& from, std::int64_t index, const MlstmSizes& z) {
    empty = !from;
    m = empty ? 0 : from.m(index);
    if (empty) {
      C.assign(area(z.D, z.E), 0);
      n.assign(static_cast<std::size_t>(z.D), 0);
    } else {
      C.assign(from.C(index), from.C(index) + z.D * z.E);
      n.assign(from.n(index), from.n(index) + z.D);
    }
  }
  template <class M>
  void store(const CarryView<float, M>& to, std::int64_t index) const {
    if (!to) return;
    if constexpr (std::is_same_v<M, BFloat16>)
      for (std::size_t j = 0; j < C.size(); j += kLanes) narrow(_mm512_load_ps(C.data() + j), to.C(index) + j);
    else
      std::copy(C.begin(), C.end(), to.C(index));
    std::copy(n.begin(), n.end(), to.n(index));
    to.m(index) = m;
  }
};

inline void scale_all(Floats& x, float factor) {
  for (float& value : x) value *= factor;
}

// Of a head's forward pass, in the measure of parallel_for.
inline double cost_per_head(const MlstmSizes& z, std::int64_t chunk) {
  return 0.02 * static_cast<double>(z.T * (std::min(chunk, z.T) * (z.D + z.E + 64) + 2 * z.D * z.E));
}

}  // namespace blalm::kernels::tiles
