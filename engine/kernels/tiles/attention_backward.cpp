// Gradients of attention for bf16 by tiles (formulas: ops/attention.cpp). Scores lie transposed, as forward. From
// the scores S and dP of 32 keys and up to 128 queries come P and dS at once, each as the operands that the next
// products want:
//   dV += Pᵀ dO      dK += dSᵀ Q      dQᵀ += Kᵀ dSᵀ
// One task is one key head with all queries that read it, in order: no two tasks add to the same sum.
#include "engine/core/parallel.h"
#include "engine/kernels/tiles/attention_tiles.h"
#include "engine/kernels/tiles/backend.h"
#include "engine/kernels/tiles/rows.h"

namespace blalm::kernels::tiles {
namespace {

constexpr std::int64_t kWidth = 128;  // most queries of a block: the depth of the products for dV and dK
constexpr std::int64_t kBlockColumns = kWidth / kBlock;

class Backward {
 public:
  Backward(const AttentionBackwardArgs& args, const AttentionSizes& n, Unit unit)
      : multiply_(unit),
        n_(n),
        band_(simplest(args.band, n.keys)),
        first_(args.first_query()),
        d_blocks_(blocks(n.d)),
        e_blocks_(blocks(n.e)),
        scale_(static_cast<float>(args.scale)),
        q_(args.q.data<BFloat16>()),
        k_(args.k.data<BFloat16>()),
        v_(args.v.data<BFloat16>()),
        o_(args.o.data<BFloat16>()),
        d_o_(args.d_o.data<BFloat16>()),
        lse_(args.lse.data<float>()),
        dq_(args.dq.defined() ? args.dq.mutable_data<BFloat16>() : nullptr),
        dk_(args.dk.defined() ? args.dk.mutable_data<BFloat16>() : nullptr),
        dv_(args.dv.defined() ? args.dv.mutable_data<BFloat16>() : nullptr),
        K_(blocks(n.keys) * d_blocks_ * kPiece),
        K_transposed_(blocks(n.keys) * d_blocks_ * kPiece),
        V_(blocks(n.keys) * e_blocks_ * kPiece),
        Q_(kBlockColumns * d_blocks_ * kPiece),
        Q_transposed_(kBlockColumns * d_blocks_ * kPiece),
        dO_(kBlockColumns * e_blocks_ * kPiece),
        dO_transposed_(kBlockColumns * e_blocks_ * kPiece),
        P_(kBlockColumns * kPiece),
        dS_(kBlockColumns * kPiece),
        dS_right_(kBlockColumns * kPending * kPiece),
        packed_(kBlockColumns * d_blocks_ * kPiece),
        scores_(kBlock * kBlock),
        d_scores_(kBlock * kBlock),
        query_sums_(d_blocks_ * kBlock * kWidth),
        key_sums_(blocks(n.keys) * kBlock * d_blocks_ * kBlock),
        value_sums_(blocks(n.keys) * kBlock * e_blocks_ * kBlock),
        lse2_(kWidth),
        delta_(kWidth) {}

  void key_head(std::int64_t b, std::int64_t g) {
    for (std::int64_t block = 0; block < blocks(n_.keys); ++block) {
      const std::int64_t s = block * kBlock, count = std::min(kBlock, n_.keys - s);
      const Source key{k_ + n_.key(b, s, g) * n_.d, DType::bf16, count, n_.d, n_.groups * n_.d};
      pack_left(key, K_.data() + block * d_blocks_ * kPiece, 0, d_blocks_);
      pack_left_transposed(key, K_transposed_.data() + block * d_blocks_ * kPiece, 0, d_blocks_);
      pack_left({v_ + n_.key(b, s, g) * n_.e, DType::bf16, count, n_.e, n_.groups * n_.e},
                V_.data() + block * e_blocks_ * kPiece, 0, e_blocks_);
    }
    std::fill_n(key_sums_.data(), blocks(n_.keys) * kBlock * d_blocks_ * kBlock, 0.0F);
    std::fill_n(value_sums_.data(), blocks(n_.keys) * kBlock * e_blocks_ * kBlock, 0.0F);
    const std::int64_t shared = n_.heads / n_.groups;
    for (std::int64_t h = g * shared; h < (g + 1) * shared; ++h)
      for (std::int64_t i = 0; i < n_.queries; i += kWidth) query_block(b, h, i, std::min(kWidth, n_.queries - i));
    if (dk_ != nullptr) store(key_sums_, scale_, dk_ + n_.key(b, 0, g) * n_.d, n_.d);
    if (dv_ != nullptr) store(value_sums_, 1, dv_ + n_.key(b, 0, g) * n_.e, n_.e);
  }

 private:
  void query_block(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t rows) {
    const QueryBlock queries{first_ + i, rows};
    const std::int64_t at = n_.query(b, i, h), columns = queries.columns();
    const Source query{q_ + at * n_.d, DType::bf16, rows, n_.d, n_.heads * n_.d};
    const Source d_out{d_o_ + at * n_.e, DType::bf16, rows, n_.e, n_.heads * n_.e};
    pack_right(query, Q_.data(), 0, columns * d_blocks_);
    pack_right_transposed(query, Q_transposed_.data(), 0, columns * d_blocks_);
    pack_right(d_out, dO_.data(), 0, columns * e_blocks_);
    pack_right_transposed(d_out, dO_transposed_.data(), 0, columns * e_blocks_);
    const float* lse = lse_ + n_.lse(b, i, h);
    for (std::int64_t r = 0; r < columns * kBlock; ++r) {  // queries that do not exist see nothing
      const std::int64_t row = (at + r * n_.heads) * n_.e;
      lse2_.data()[r] = r < rows ? lse[r] * kLog2e : 1e30F;
      delta_.data()[r] = r < rows ? dot(d_o_ + row, o_ + row, n_.e) : 0;
    }
    std::fill_n(query_sums_.data(), d_blocks_ * kBlock * kWidth, 0.0F);
    pending_ = 0;
    KeyBlocks(band_, queries.begin, queries.begin + rows).for_each([&](std::int64_t block) {
      const Span span = columns_of(band_, block, queries);
      if (span.empty()) return;
      if (pending_ == kPending || block != first_block_ + pending_) flush();
      if (pending_ == 0) first_block_ = block;
      key_block(block, span, queries);
      ++pending_;
    });
    flush();
    if (dq_ != nullptr) write(at, rows);
  }

  void key_block(std::int64_t block, const Span& span, const QueryBlock& queries) {
    const BFloat16 *const key = K_.data() + block * d_blocks_ * kPiece, *value = V_.data() + block * e_blocks_ * kPiece;
    for (std::int64_t c = span.begin; c < span.end; ++c) {
      multiply_block(multiply_, key, kPiece, Q_transposed_.data() + c * d_blocks_ * kPiece, kPiece, d_blocks_,
                     scores_.data(), kBlock, false);
      multiply_block(multiply_, value, kPiece, dO_transposed_.data() + c * e_blocks_ * kPiece, kPiece, e_blocks_,
                     d_scores_.data(), kBlock, false);
      const std::int64_t position = queries.begin + c * kBlock;
      sees_all(band_, block, position) ? gradients<false>(block, c, position) : gradients<true>(block, c, position);
      seen_[c].include(pending_, dS_right_.data() + c * kPending * kPiece);
    }
    const auto add = [&](const BFloat16* left, const BFloat16* right, std::int64_t width, float* sums) {
      for (std::int64_t w = 0; w < width; ++w)
        multiply_block(multiply_, left + span.begin * kPiece, kPiece,
                       right + (w * queries.columns() + span.begin) * kPiece, kPiece, span.count(),
                       sums + block * kBlock * width * kBlock + w * kBlock, width * kBlock, true);
    };
    if (dv_ != nullptr) add(P_.data(), dO_.data(), e_blocks_, value_sums_.data());
    if (dk_ != nullptr) add(dS_.data(), Q_.data(), d_blocks_, key_sums_.data());
  }

  // P and dS of a column; what a query does not see is 0.
  template <bool kMasked>
  void gradients(std::int64_t block, std::int64_t column, std::int64_t position) {
    const __m512 scale = _mm512_set1_ps(scale_ * kLog2e);
    const __m512i pairs = _mm512_load_si512(kPairs.index);
    const float *const s = scores_.data(), *const dp = d_scores_.data();
    __m512 lse[2], delta[2];
    for (std::int64_t v = 0; v < 2; ++v) {
      lse[v] = _mm512_load_ps(lse2_.data() + column * kBlock + v * kLanes);
      delta[v] = _mm512_load_ps(delta_.data() + column * kBlock + v * kLanes);
    }
    BFloat16 *p_left = P_.data() + column * kPiece, *ds_left = dS_.data() + column * kPiece;
    BFloat16* ds_right = dS_right_.data() + (column * kPending + pending_) * kPiece;
    for (std::int64_t r = 0; r < kBlock; r += 2, ds_right += kDepth) {
      __m512 ds[2][2];  // [key][lane half]
      for (std::int64_t j = 0; j < 2; ++j, p_left += kDepth, ds_left += kDepth) {
        __m512 p[2];
        for (std::int64_t v = 0; v < 2; ++v) {
          const std::int64_t at = (r + j) * kBlock + v * kLanes;
          p[v] = exp2(_mm512_fmsub_ps(_mm512_load_ps(s + at), scale, lse[v]));
          if constexpr (kMasked)
            p[v] = _mm512_maskz_mov_ps(visible(band_, block * kBlock + r + j, position + v * kLanes), p[v]);
          ds[j][v] = _mm512_mul_ps(p[v], _mm512_sub_ps(_mm512_load_ps(dp + at), delta[v]));
        }
        _mm512_store_si512(p_left, narrow(p[0], p[1]));
        _mm512_store_si512(ds_left, narrow(ds[j][0], ds[j][1]));
      }
      for (std::int64_t v = 0; v < 2; ++v)
        _mm512_store_si512(ds_right + v * kTile, _mm512_permutexvar_epi16(pairs, narrow(ds[0][v], ds[1][v])));
    }
  }

  // query_sums += Kᵀ dSᵀ for the pending key blocks.
  void flush() {
    for (std::int64_t c = 0; c < kBlockColumns; ++c) {
      const Span steps = seen_[c];
      if (steps.empty()) continue;
      if (dq_ != nullptr)
        for (std::int64_t d = 0; d < d_blocks_; ++d)
          multiply_block(multiply_, K_transposed_.data() + ((first_block_ + steps.begin) * d_blocks_ + d) * kPiece,
                         d_blocks_ * kPiece, dS_right_.data() + (c * kPending + steps.begin) * kPiece, kPiece,
                         steps.count(), query_sums_.data() + d * kBlock * kWidth + c * kBlock, kWidth, true);
      seen_[c] = {};
    }
    pending_ = 0;
  }

  void write(std::int64_t at, std::int64_t rows) {
    const std::int64_t columns = blocks(rows);
    float* sums = query_sums_.data();
    for (std::int64_t j = 0; j < d_blocks_ * kBlock * kWidth; j += kLanes)
      _mm512_store_ps(sums + j, _mm512_mul_ps(_mm512_load_ps(sums + j), _mm512_set1_ps(scale_)));
    pack_left_transposed({sums, DType::f32, d_blocks_ * kBlock, columns * kBlock, kWidth}, packed_.data(), 0,
                         columns * d_blocks_);
    unpack_rows(packed_.data(), dq_ + at * n_.d, rows, n_.d, n_.heads * n_.d);
  }

  // Rows of all keys, `width` long.
  void store(const Buffer<float>& sums, float factor, BFloat16* to, std::int64_t width) const {
    const __m512 f = _mm512_set1_ps(factor);
    for (std::int64_t s = 0; s < n_.keys; ++s)
      for (std::int64_t j = 0; j < width; j += kLanes) {
        const __mmask16 mask = first_lanes(width - j);
        const __m512 x = _mm512_mul_ps(f, _mm512_load_ps(sums.data() + s * blocks(width) * kBlock + j));
        _mm256_mask_storeu_epi16(to + s * n_.groups * width + j, mask,
                                 reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(x)));
      }
  }

  const BlockMultiplier multiply_;
  const AttentionSizes n_;
  const Band band_;
  const std::int64_t first_, d_blocks_, e_blocks_;
  const float scale_;
  const BFloat16 *const q_, *const k_, *const v_, *const o_, *const d_o_;
  const float* const lse_;
  BFloat16 *const dq_, *const dk_, *const dv_;

  Buffer<BFloat16> K_, K_transposed_, V_;  // of all keys, a block after the other
  Buffer<BFloat16> Q_, Q_transposed_, dO_, dO_transposed_;
  Buffer<BFloat16> P_, dS_;    // left operands [32 keys, queries]
  Buffer<BFloat16> dS_right_;  // of the pending key blocks
  Buffer<BFloat16> packed_;
  Buffer<float> scores_, d_scores_;      // [32 keys, 32 queries]
  Buffer<float> query_sums_;             // [D, queries]
  Buffer<float> key_sums_, value_sums_;  // [keys, D], [keys, E]
  Buffer<float> lse2_, delta_;           // a query each: lse in powers of 2, dO · O
  Span seen_[kBlockColumns];             // of the pending key blocks, by each column
  std::int64_t pending_ = 0, first_block_ = 0;
};

}  // namespace

void attention_backward(const AttentionBackwardArgs& a, Unit unit) {
  const AttentionSizes n(a);
  const double pairs = static_cast<double>(visible_pairs(a.band, a.first_query(), n.queries));
  const double cost = 2.5 * kCostOfPair * pairs * static_cast<double>((n.d + n.e) * n.heads / n.groups);
  parallel_for(n.batch * n.groups, cost, [&](std::int64_t begin, std::int64_t end) {
    Backward backward(a, n, unit);
    for (std::int64_t task = begin; task < end; ++task) backward.key_head(task / n.groups, task % n.groups);
  });
}

}  // namespace blalm::kernels::tiles
