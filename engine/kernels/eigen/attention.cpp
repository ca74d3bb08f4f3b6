// Attention by tiles of queries × keys, each a small matrix product, with the scores of one tile in cache and nowhere
// else (the online softmax of Milakov and Gimelshein, 2018; Dao et al., 2022). Memory is linear in the positions, and
// with a window so is time: tiles that no query of a block sees are never touched.
#include "engine/kernels/attention.h"

// Our own team runs the tiles; Eigen stays on the thread that calls it.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/parallel.h"
#include "engine/kernels/eigen/backend.h"

namespace blalm::kernels::eigen {
namespace {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using View = Eigen::Map<const RowMajor<T>, 0, Eigen::OuterStride<>>;
template <class T>
using MutableView = Eigen::Map<RowMajor<T>, 0, Eigen::OuterStride<>>;
template <class T>
using AlignedRow = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>, Eigen::Aligned64>;

// Most queries and keys of a tile. Rows of scores stand kStride apart: aligned, padded to whole vectors, and not at a
// power of two, which would put them all in the same few lines of the cache.
constexpr std::int64_t kQueries = 64;
constexpr std::int64_t kKeys = 256;
constexpr std::int64_t kStride = kKeys + 16;
// Then every query of a block sees a key of the first tile, and no running maximum stays -inf.
static_assert(kKeys >= kQueries && kKeys % 16 == 0);

// Below this exponent exp() counts as smallest: subnormal probabilities would slow the products a hundredfold.
template <class T>
constexpr T kLowestExponent = std::is_same_v<T, float> ? T(-87) : T(-708);

// Aligned work space of one thread, from the pool.
template <class T>
class Scratch {
 public:
  explicit Scratch(std::int64_t elements)
      : tensor_(Tensor::empty({elements + kSlack}, dtype_of<T>)), next_(tensor_.mutable_data<T>()) {}

  T* take(std::int64_t elements) {
    T* taken = next_;
    next_ += (elements + kAlign - 1) / kAlign * kAlign;
    return taken;
  }

 private:
  static constexpr std::int64_t kAlign = 16, kMostBlocks = 12, kSlack = kAlign * kMostBlocks;
  Tensor tensor_;
  T* next_;
};

// Queries of a block: fewer for a narrow window, of whose tiles they would see a small part only.
std::int64_t block_of(const Band& band) { return band.window > 0 && band.window <= 128 ? kQueries / 2 : kQueries; }

// The keys of a tile: [0, memory) of the memory, or a part of it that starts at `memory_first`, then `window` keys from
// `window_first` on.
struct Tile {
  std::int64_t memory_first, memory, window_first, window;

  std::int64_t count() const { return memory + window; }
  std::int64_t padded() const { return (count() + 15) / 16 * 16; }
};

// Calls f(tile) for the tiles that the queries at positions [begin, end) see.
template <class F>
void for_each_tile(const Band& band, std::int64_t begin, std::int64_t end, F&& f) {
  const VisibleKeys keys = band.visible(begin);
  if (keys.memory_end + end - keys.window_begin <= kKeys) {
    f(Tile{0, keys.memory_end, keys.window_begin, end - keys.window_begin});
    return;
  }
  for (std::int64_t s = 0; s < keys.memory_end; s += kKeys) f(Tile{s, std::min(kKeys, keys.memory_end - s), 0, 0});
  for (std::int64_t s = keys.window_begin; s < end; s += kKeys) f(Tile{0, 0, s, std::min(kKeys, end - s)});
}

// Writes `value` over what a query does not see in its row of a tile, and on to a whole vector. Of memory keys a tile
// holds only such as all its queries see.
template <class T>
void hide(T* row, const Tile& tile, const VisibleKeys& keys, T value) {
  T* window = row + tile.memory;
  const auto inside = [&](std::int64_t s) { return std::clamp<std::int64_t>(s - tile.window_first, 0, tile.window); };
  std::fill(window + inside(keys.memory_end), window + inside(keys.window_begin), value);
  std::fill(window + inside(keys.end), row + tile.padded(), value);
}

template <class X, class T>
void copy_rows(const X* rows, std::int64_t count, std::int64_t width, std::int64_t stride, T* to) {
  for (std::int64_t r = 0; r < count; ++r)
    for (std::int64_t j = 0; j < width; ++j) to[r * width + j] = static_cast<T>(rows[r * stride + j]);
}

// Rows of one head as a matrix: in place, or for bf16 as floats in `space`.
template <class X, class T>
View<T> load(const X* rows, std::int64_t count, std::int64_t width, std::int64_t stride, T* space) {
  if constexpr (std::is_same_v<X, T>) return View<T>(rows, count, width, Eigen::OuterStride<>(stride));
  copy_rows(rows, count, width, stride, space);
  return View<T>(space, count, width, Eigen::OuterStride<>(width));
}

// The rows of a tile's keys, `rows` being the head's first: in place where they follow each other.
template <class X, class T>
View<T> load(const X* rows, const Tile& tile, std::int64_t width, std::int64_t stride, T* space) {
  if (tile.memory == 0) return load(rows + tile.window_first * stride, tile.window, width, stride, space);
  if (tile.window == 0) return load(rows + tile.memory_first * stride, tile.memory, width, stride, space);
  copy_rows(rows + tile.memory_first * stride, tile.memory, width, stride, space);
  copy_rows(rows + tile.window_first * stride, tile.window, width, stride, space + tile.memory * width);
  return View<T>(space, tile.count(), width, Eigen::OuterStride<>(width));
}

// row <- exp(row - shift) where the query sees, 0 elsewhere.
template <class T>
void exponentials(T* row, const Tile& tile, const VisibleKeys& keys, T shift) {
  AlignedRow<T> x(row, tile.padded());
  x = (x - shift).max(kLowestExponent<T>).exp();
  hide(row, tile, keys, T(0));
}

// What a block of queries has seen so far: its largest score, Σ exp(score - largest), and that sum with the values.
template <class T>
struct RunningSoftmax {
  T* largest;
  T* total;
  MutableView<T> sum;  // [rows, E]

  void reset() {
    std::fill_n(largest, sum.rows(), -std::numeric_limits<T>::infinity());
    std::fill_n(total, sum.rows(), T(0));
    sum.setZero();
  }
  // Turns the scores of query r in a tile into exponentials and adds them up.
  void add_row(std::int64_t r, T* row, const Tile& tile, const VisibleKeys& keys) {
    hide(row, tile, keys, -std::numeric_limits<T>::infinity());
    const T shift = std::max(largest[r], AlignedRow<T>(row, tile.padded()).maxCoeff());
    const T factor = std::exp(largest[r] - shift);
    exponentials(row, tile, keys, shift);
    largest[r] = shift;
    total[r] = total[r] * factor + AlignedRow<T>(row, tile.padded()).sum();
    if (factor != T(1)) sum.row(r) *= factor;
  }
};

// One task is one block of queries of one head.
template <class X>
void forward(const AttentionArgs& a) {
  using T = Compute<X>;
  const AttentionSizes n(a);
  const X *q = a.q.data<X>(), *k = a.k.data<X>(), *v = a.v.data<X>();
  X* o = a.o.mutable_data<X>();
  T* lse = a.lse.mutable_data<T>();
  const T scale = static_cast<T>(a.scale);
  const std::int64_t size = block_of(a.band), blocks = (n.queries + size - 1) / size;
  const double pairs = static_cast<double>(visible_pairs(a.band, a.first_query(), n.queries));
  const double cost =
      0.5 * pairs * static_cast<double>(n.d + n.e) / static_cast<double>(std::max<std::int64_t>(1, blocks));
  parallel_for(n.batch * n.heads * blocks, cost, [&](std::int64_t begin, std::int64_t end) {
    Scratch<T> scratch(kQueries * (kStride + n.d + n.e + 2) + kKeys * (n.d + n.e));
    T* const p = scratch.take(kQueries * kStride);
    T* const largest = scratch.take(kQueries);
    T* const total = scratch.take(kQueries);
    T* const sums = scratch.take(kQueries * n.e);
    T* const q_space = scratch.take(kQueries * n.d);
    T* const k_space = scratch.take(kKeys * n.d);
    T* const v_space = scratch.take(kKeys * n.e);
    for (std::int64_t task = begin; task < end; ++task) {
      // Early and late blocks by turns: without a window late ones cost more, and each thread gets a range of tasks.
      const std::int64_t turn = task % blocks, block = turn % 2 == 0 ? turn / 2 : blocks - 1 - turn / 2;
      const std::int64_t h = task / blocks % n.heads, b = task / blocks / n.heads, g = h / (n.heads / n.groups);
      const std::int64_t i = block * size, rows = std::min(size, n.queries - i), position = a.first_query() + i;
      const View<T> query = load(q + n.query(b, i, h) * n.d, rows, n.d, n.heads * n.d, q_space);
      RunningSoftmax<T> softmax{largest, total, {sums, rows, n.e, Eigen::OuterStride<>(n.e)}};
      softmax.reset();
      for_each_tile(a.band, position, position + rows, [&](const Tile& tile) {
        const View<T> key = load(k + n.key(b, 0, g) * n.d, tile, n.d, n.groups * n.d, k_space);
        const View<T> value = load(v + n.key(b, 0, g) * n.e, tile, n.e, n.groups * n.e, v_space);
        MutableView<T> scores(p, rows, tile.count(), Eigen::OuterStride<>(kStride));
        scores.noalias() = scale * (query * key.transpose());
        for (std::int64_t r = 0; r < rows; ++r) softmax.add_row(r, p + r * kStride, tile, a.band.visible(position + r));
        softmax.sum.noalias() += scores * value;
      });
      for (std::int64_t r = 0; r < rows; ++r) {
        const T factor = T(1) / total[r];
        X* out = o + n.query(b, i + r, h) * n.e;
        for (std::int64_t j = 0; j < n.e; ++j) out[j] = static_cast<X>(sums[r * n.e + j] * factor);
        lse[n.lse(b, i + r, h)] = largest[r] + std::log(total[r]);
      }
    }
  });
}

template <class X, class T>
void store(const T* from, X* to, std::int64_t count, std::int64_t width, std::int64_t stride) {
  for (std::int64_t r = 0; r < count; ++r)
    for (std::int64_t j = 0; j < width; ++j) to[r * stride + j] = static_cast<X>(from[r * width + j]);
}

// The rows of `sums` (of one head, `width` long) that a tile's keys stand for += tileᵀ rows.
template <class T>
void add_to_keys(T* sums, std::int64_t width, const MutableView<T>& scores, const Tile& tile, const View<T>& rows) {
  const auto add = [&](std::int64_t first, std::int64_t column, std::int64_t count) {
    if (count == 0) return;
    MutableView<T> into(sums + first * width, count, width, Eigen::OuterStride<>(width));
    into.noalias() += scores.middleCols(column, count).transpose() * rows;
  };
  add(tile.memory_first, 0, tile.memory);
  add(tile.window_first, tile.memory, tile.window);
}

// One task is one key head with all queries that read it, in order: no two tasks add to the same sum, and the order of
// additions does not depend on the number of threads.
template <class X>
void backward(const AttentionBackwardArgs& a) {
  using T = Compute<X>;
  const AttentionSizes n(a);
  const X *q = a.q.data<X>(), *k = a.k.data<X>(), *v = a.v.data<X>(), *o = a.o.data<X>(), *d_o = a.d_o.data<X>();
  const T* lse = a.lse.data<T>();
  X* dq = a.dq.defined() ? a.dq.mutable_data<X>() : nullptr;
  X* dk = a.dk.defined() ? a.dk.mutable_data<X>() : nullptr;
  X* dv = a.dv.defined() ? a.dv.mutable_data<X>() : nullptr;
  const T scale = static_cast<T>(a.scale);
  const std::int64_t size = block_of(a.band), shared = n.heads / n.groups;
  const double pairs = static_cast<double>(visible_pairs(a.band, a.first_query(), n.queries));
  const double cost = 1.25 * pairs * static_cast<double>((n.d + n.e) * shared);
  parallel_for(n.batch * n.groups, cost, [&](std::int64_t begin, std::int64_t end) {
    Scratch<T> scratch(kQueries * (2 * kStride + 2 * n.d + 2 * n.e + 1) + (n.keys + kKeys) * (n.d + n.e));
    T* const p = scratch.take(kQueries * kStride);
    T* const ds = scratch.take(kQueries * kStride);
    T* const delta = scratch.take(kQueries);  // rowsum(dO ⊙ O)
    T* const query_sums = scratch.take(kQueries * n.d);
    T* const key_sums = scratch.take(n.keys * n.d);
    T* const value_sums = scratch.take(n.keys * n.e);
    T* const q_space = scratch.take(kQueries * n.d);
    T* const o_space = scratch.take(kQueries * n.e);
    T* const d_o_space = scratch.take(kQueries * n.e);
    T* const k_space = scratch.take(kKeys * n.d);
    T* const v_space = scratch.take(kKeys * n.e);
    const auto block = [&](std::int64_t b, std::int64_t h, std::int64_t i) {
      const std::int64_t rows = std::min(size, n.queries - i), position = a.first_query() + i, g = h / shared;
      const View<T> query = load(q + n.query(b, i, h) * n.d, rows, n.d, n.heads * n.d, q_space);
      const View<T> out = load(o + n.query(b, i, h) * n.e, rows, n.e, n.heads * n.e, o_space);
      const View<T> d_out = load(d_o + n.query(b, i, h) * n.e, rows, n.e, n.heads * n.e, d_o_space);
      const T* row_lse = lse + n.lse(b, i, h);
      for (std::int64_t r = 0; r < rows; ++r) delta[r] = d_out.row(r).dot(out.row(r));
      MutableView<T> query_sum(query_sums, rows, n.d, Eigen::OuterStride<>(n.d));
      query_sum.setZero();
      for_each_tile(a.band, position, position + rows, [&](const Tile& tile) {
        const View<T> key = load(k + n.key(b, 0, g) * n.d, tile, n.d, n.groups * n.d, k_space);
        MutableView<T> probability(p, rows, tile.count(), Eigen::OuterStride<>(kStride));
        probability.noalias() = scale * (query * key.transpose());
        for (std::int64_t r = 0; r < rows; ++r)
          exponentials(p + r * kStride, tile, a.band.visible(position + r), row_lse[r]);
        if (dv != nullptr) add_to_keys(value_sums, n.e, probability, tile, d_out);
        if (dq == nullptr && dk == nullptr) return;
        const View<T> value = load(v + n.key(b, 0, g) * n.e, tile, n.e, n.groups * n.e, v_space);
        MutableView<T> d_score(ds, rows, tile.count(), Eigen::OuterStride<>(kStride));
        d_score.noalias() = d_out * value.transpose();
        for (std::int64_t r = 0; r < rows; ++r) {
          AlignedRow<T> row(ds + r * kStride, tile.padded());
          row = AlignedRow<T>(p + r * kStride, tile.padded()) * (scale * (row - delta[r]));
        }
        if (dq != nullptr) query_sum.noalias() += d_score * key;
        if (dk != nullptr) add_to_keys(key_sums, n.d, d_score, tile, query);
      });
      if (dq != nullptr) store(query_sums, dq + n.query(b, i, h) * n.d, rows, n.d, n.heads * n.d);
    };
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t g = task % n.groups, b = task / n.groups;
      std::fill_n(key_sums, n.keys * n.d, T(0));
      std::fill_n(value_sums, n.keys * n.e, T(0));
      for (std::int64_t h = g * shared; h < (g + 1) * shared; ++h)
        for (std::int64_t i = 0; i < n.queries; i += size) block(b, h, i);
      if (dk != nullptr) store(key_sums, dk + n.key(b, 0, g) * n.d, n.keys, n.d, n.groups * n.d);
      if (dv != nullptr) store(value_sums, dv + n.key(b, 0, g) * n.e, n.keys, n.e, n.groups * n.e);
    }
  });
}

template <class F>
void visit(DType dtype, F&& f) {
  if (dtype == DType::bf16)
    f(TypeTag<BFloat16>{});
  else if (dtype == DType::f64)
    f(TypeTag<double>{});
  else
    f(TypeTag<float>{});
}

constexpr Reason kNoComplex = "takes f32, bf16 and f64 only";

}  // namespace

Reason declines_attention(const AttentionArgs& a) { return a.q.dtype() == DType::c128 ? kNoComplex : nullptr; }
Reason declines_attention_backward(const AttentionBackwardArgs& a) {
  return a.q.dtype() == DType::c128 ? kNoComplex : nullptr;
}

void attention(const AttentionArgs& a) {
  visit(a.q.dtype(), [&](auto tag) { forward<typename decltype(tag)::type>(a); });
}

void attention_backward(const AttentionBackwardArgs& a) {
  visit(a.q.dtype(), [&](auto tag) { backward<typename decltype(tag)::type>(a); });
}

}  // namespace blalm::kernels::eigen
