// Attention for bf16 by tiles: products have bf16 operands and f32 sums. As in eigen/attention.cpp, a block of
// queries goes through the blocks of keys that it sees, and no score leaves the cache.
#include <atomic>
#include <cmath>

#include "engine/core/parallel.h"
#include "engine/kernels/tiles/attention_tiles.h"
#include "engine/kernels/tiles/backend.h"

namespace blalm::kernels::tiles {
namespace {

// Most queries' scores are taken as they are. Others may exceed what they are taken relative to by so many powers of 2
// before sums are scaled anew.
constexpr float kSlack = 8;

constexpr std::int64_t kAhead = 8;  // rows asked for at a time

// Rows of one head that will be needed later, asked for a few at a time: they lie too far apart for the processor to
// foresee them, and many at once would wait for each other.
struct Ahead {
  const BFloat16* rows = nullptr;
  std::int64_t count = 0, width = 0, stride = 0;

  void ask(std::int64_t most) {
    for (; most > 0 && count > 0; --most, --count, rows += stride)
      for (std::int64_t j = 0; j < width; j += kDepth) _mm_prefetch(rows + j, _MM_HINT_T1);
  }
};

class Forward {
 public:
  Forward(const AttentionArgs& args, const AttentionSizes& n, std::int64_t most_key_blocks, Unit unit)
      : multiply_(unit),
        n_(n),
        band_(simplest(args.band, n.keys)),
        first_(args.first_query()),
        d_steps_(blocks(n.d)),
        e_blocks_(blocks(n.e)),
        scale_(static_cast<float>(args.scale) * kLog2e),
        q_(args.q.data<BFloat16>()),
        k_(args.k.data<BFloat16>()),
        v_(args.v.data<BFloat16>()),
        o_(args.o.mutable_data<BFloat16>()),
        lse_(args.lse.mutable_data<float>()),
        K_(most_key_blocks * d_steps_ * kPiece),
        V_(most_key_blocks * e_blocks_ * kPiece),
        Q_(kColumns * d_steps_ * kPiece),
        P_(kColumns * kPending * kPiece),
        packed_(kColumns * e_blocks_ * kPiece),
        scores_(kBlock * kBlock * kColumns),
        out_(e_blocks_ * kBlock * kQueries),
        shift_(kQueries),
        total_(kQueries) {}

  // The next key head will be this one.
  void foresee(std::int64_t b, std::int64_t g) {
    const std::int64_t h = g * (n_.heads / n_.groups);
    ahead_[0] = {k_ + n_.key(b, 0, g) * n_.d, n_.keys, n_.d, n_.groups * n_.d};
    ahead_[1] = {v_ + n_.key(b, 0, g) * n_.e, n_.keys, n_.e, n_.groups * n_.e};
    ahead_[2] = {q_ + n_.query(b, 0, h) * n_.d, n_.queries, n_.d, n_.heads * n_.d};
    ahead_[3] = {o_ + n_.query(b, 0, h) * n_.e, n_.queries, n_.e, n_.heads * n_.e};
  }

  // Queries [begin, end) of the heads that read a key head.
  void key_head(std::int64_t b, std::int64_t g, std::int64_t begin, std::int64_t end) {
    const KeyBlocks keys(band_, first_ + begin, first_ + end);
    keys.for_each([&](std::int64_t block) {
      const std::int64_t s = block * kBlock, count = std::min(kBlock, n_.keys - s), slot = keys.slot(block);
      pack_left({k_ + n_.key(b, s, g) * n_.d, DType::bf16, count, n_.d, n_.groups * n_.d},
                K_.data() + slot * d_steps_ * kPiece, 0, d_steps_);
      pack_left_transposed({v_ + n_.key(b, s, g) * n_.e, DType::bf16, count, n_.e, n_.groups * n_.e},
                           V_.data() + slot * e_blocks_ * kPiece, 0, e_blocks_);
    });
    const std::int64_t shared = n_.heads / n_.groups;
    for (std::int64_t h = g * shared; h < (g + 1) * shared; ++h)
      for (std::int64_t i = begin; i < end; i += kQueries) query_block(b, h, i, std::min(kQueries, end - i), keys);
  }

 private:
  void query_block(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t rows, const KeyBlocks& packed) {
    const QueryBlock queries{first_ + i, rows};
    pack_right_transposed({q_ + n_.query(b, i, h) * n_.d, DType::bf16, rows, n_.d, n_.heads * n_.d}, Q_.data(), 0,
                          queries.columns() * d_steps_);
    std::fill_n(shift_.data(), kQueries, 0.0F);
    std::fill_n(shifted_, 2 * kColumns, __mmask16{0});
    attend(queries, packed);
    if (must_shift(rows)) attend(queries, packed);
    write(b, h, i, rows);
  }

  void attend(const QueryBlock& queries, const KeyBlocks& packed) {
    std::fill_n(total_.data(), kQueries, 0.0F);
    std::fill_n(out_.data(), e_blocks_ * kBlock * kQueries, 0.0F);
    pending_ = 0;
    KeyBlocks(band_, queries.begin, queries.begin + queries.rows).for_each([&](std::int64_t block) {
      const Span columns = columns_of(band_, block, queries);
      if (columns.empty()) return;
      const std::int64_t slot = packed.slot(block);
      if (pending_ == kPending || slot != first_slot_ + pending_) flush();
      if (pending_ == 0) first_slot_ = slot;
      for (std::int64_t c = columns.begin; c < columns.end; ++c)
        multiply_block(multiply_, K_.data() + slot * d_steps_ * kPiece, kPiece, Q_.data() + c * d_steps_ * kPiece,
                       kPiece, d_steps_, scores_.data() + c * kPiece, kBlock, false);
      for (Ahead& ahead : ahead_) ahead.ask(kAhead);
      for (std::int64_t c = columns.begin; c < columns.end; ++c) add(block, c, queries.begin + c * kBlock);
      ++pending_;
    });
    flush();
  }

  // Whether the sum of a query is out of range: then its scores are taken relative to the largest so far. It depends on
  // what this query sees and on no other.
  bool must_shift(std::int64_t rows) {
    unsigned any = 0;
    for (std::int64_t v = 0; v * kLanes < rows; ++v) {
      const __m512 total = _mm512_load_ps(total_.data() + v * kLanes);
      const auto fits = static_cast<__mmask16>(_mm512_cmp_ps_mask(total, _mm512_set1_ps(kSmallestSum), _CMP_GE_OQ) &
                                               _mm512_cmp_ps_mask(total, _mm512_set1_ps(kLargestSum), _CMP_LE_OQ));
      shifted_[v] = static_cast<__mmask16>(first_lanes(rows - v * kLanes) & ~fits);
      _mm512_mask_store_ps(shift_.data() + v * kLanes, shifted_[v],
                           _mm512_set1_ps(-std::numeric_limits<float>::infinity()));
      any |= shifted_[v];
    }
    return any != 0;
  }

  void add(std::int64_t block, std::int64_t c, std::int64_t position) {
    if ((shifted_[2 * c] | shifted_[2 * c + 1]) != 0) raise(block, c, position);
    sees_all(band_, block, position) ? exponentials<false>(block, c, position) : exponentials<true>(block, c, position);
    seen_[c].include(pending_, P_.data() + c * kPending * kPiece);
  }

  // Raises the shift of those queries for which a score is far above it.
  void raise(std::int64_t block, std::int64_t c, std::int64_t position) {
    for (std::int64_t v = 2 * c; v < 2 * c + 2; ++v, position += kLanes) {
      __m512 largest = _mm512_set1_ps(-std::numeric_limits<float>::infinity());
      for (std::int64_t r = 0; r < kBlock; ++r)  // max(NaN, x) is x
        largest =
            _mm512_mask_max_ps(largest, visible(band_, block * kBlock + r, position),
                               _mm512_load_ps(scores_.data() + c * kPiece + r * kBlock + v % 2 * kLanes), largest);
      largest = _mm512_mul_ps(largest, _mm512_set1_ps(scale_));
      float *const shift = shift_.data() + v * kLanes, *const total = total_.data() + v * kLanes;
      const __m512 old = _mm512_load_ps(shift), one = _mm512_set1_ps(1);
      const __mmask16 raised =
          _mm512_mask_cmp_ps_mask(shifted_[v], largest, _mm512_add_ps(old, _mm512_set1_ps(kSlack)), _CMP_GT_OQ);
      if (raised == 0) continue;
      flush(c);
      const __m512 factor = _mm512_mask_blend_ps(raised, one, exp2(_mm512_sub_ps(old, largest)));
      _mm512_mask_store_ps(shift, raised, largest);
      _mm512_store_ps(total, _mm512_mul_ps(_mm512_load_ps(total), factor));
      scale_column(v, factor);
    }
  }

  void scale_column(std::int64_t v, __m512 factor) {
    float* x = out_.data() + v * kLanes;
    for (std::int64_t r = 0; r < e_blocks_ * kBlock; ++r, x += kQueries)
      _mm512_store_ps(x, _mm512_mul_ps(_mm512_load_ps(x), factor));
  }

  // P of a column as a right operand; what a query does not see is 0.
  template <bool kMasked>
  void exponentials(std::int64_t block, std::int64_t column, std::int64_t position) {
    const __m512 scale = _mm512_set1_ps(scale_);
    const __m512i pairs = _mm512_load_si512(kPairs.index);
    BFloat16* to = P_.data() + (column * kPending + pending_) * kPiece;
    for (std::int64_t v = 2 * column; v < 2 * column + 2; ++v, position += kLanes) {
      const float* s = scores_.data() + v / 2 * kPiece + v % 2 * kLanes;
      const __m512 shift = _mm512_load_ps(shift_.data() + v * kLanes);
      __m512 total[2] = {_mm512_load_ps(total_.data() + v * kLanes), _mm512_setzero_ps()};
      for (std::int64_t r = 0; r < kBlock; r += 2, to += kDepth) {
        __m512 p[2];
        for (std::int64_t j = 0; j < 2; ++j) {
          p[j] = exp2(_mm512_fmsub_ps(_mm512_load_ps(s + (r + j) * kBlock), scale, shift));
          if constexpr (kMasked) p[j] = _mm512_maskz_mov_ps(visible(band_, block * kBlock + r + j, position), p[j]);
          total[j] = _mm512_add_ps(total[j], p[j]);
        }
        _mm512_store_si512(to, _mm512_permutexvar_epi16(pairs, narrow(p[0], p[1])));
      }
      _mm512_store_ps(total_.data() + v * kLanes, _mm512_add_ps(total[0], total[1]));
    }
  }

  // out += Vᵀ Pᵀ for the pending key blocks.
  void flush() {
    for (std::int64_t c = 0; c < kColumns; ++c) flush(c);
    pending_ = 0;
  }
  void flush(std::int64_t c) {
    const Span steps = seen_[c];
    if (steps.empty()) return;
    for (std::int64_t e = 0; e < e_blocks_; ++e)
      multiply_block(multiply_, V_.data() + ((first_slot_ + steps.begin) * e_blocks_ + e) * kPiece, e_blocks_ * kPiece,
                     P_.data() + (c * kPending + steps.begin) * kPiece, kPiece, steps.count(),
                     out_.data() + e * kBlock * kQueries + c * kBlock, kQueries, true);
    seen_[c] = {};
  }

  void write(std::int64_t b, std::int64_t h, std::int64_t i, std::int64_t rows) {
    const std::int64_t columns = blocks(rows);
    for (std::int64_t v = 0; v < 2 * columns; ++v)
      scale_column(v, _mm512_div_ps(_mm512_set1_ps(1), _mm512_load_ps(total_.data() + v * kLanes)));
    pack_left_transposed({out_.data(), DType::f32, e_blocks_ * kBlock, columns * kBlock, kQueries}, packed_.data(), 0,
                         columns * e_blocks_);
    unpack_rows(packed_.data(), o_ + n_.query(b, i, h) * n_.e, rows, n_.e, n_.heads * n_.e);
    float* lse = lse_ + n_.lse(b, i, h);
    for (std::int64_t r = 0; r < rows; ++r) lse[r] = shift_.data()[r] * kLn2 + std::log(total_.data()[r]);
  }

  const BlockMultiplier multiply_;
  const AttentionSizes n_;
  const Band band_;
  const std::int64_t first_, d_steps_, e_blocks_;
  const float scale_;
  const BFloat16 *const q_, *const k_, *const v_;
  BFloat16* const o_;
  float* const lse_;

  Buffer<BFloat16> K_, V_;  // a key block after the other
  Buffer<BFloat16> Q_, P_, packed_;
  Buffer<float> scores_;             // [32 keys, 32 queries]
  Buffer<float> out_;                // [E, queries], relative to 2^shift as is the total
  Buffer<float> shift_, total_;      // a query each
  __mmask16 shifted_[2 * kColumns];  // queries whose shift is not 0
  Ahead ahead_[4];                   // of the next key head: K, V, Q, O
  Span seen_[kColumns];              // of the pending key blocks, by each column
  std::int64_t pending_ = 0, first_slot_ = 0;
};

template <class Args>
Reason declines(const Args& a) {
  if (a.q.dtype() != DType::bf16) return "takes bf16 only";
  if (a.q.numel() == 0 || a.v.numel() == 0) return "nothing to do";
  if (!(a.scale > 0)) return "takes scales above 0";
  return nullptr;
}

}  // namespace

Reason declines_attention(const AttentionArgs& a) { return declines(a); }
Reason declines_attention_backward(const AttentionBackwardArgs& a) { return declines(a); }

void attention(const AttentionArgs& a, Unit unit) {
  const AttentionSizes n(a);
  const std::int64_t query_blocks = (n.queries + kQueries - 1) / kQueries, heads = n.batch * n.groups;
  // Whole key heads if there are enough of them; results do not depend on it.
  const std::int64_t parts = std::min<std::int64_t>(query_blocks, (4 * num_threads() + heads - 1) / heads);
  const auto begin_of = [&](std::int64_t part) { return std::min(n.queries, part * query_blocks / parts * kQueries); };
  const Band band = simplest(a.band, n.keys);
  std::int64_t most_key_blocks = 0;
  for (std::int64_t part = 0; part < parts; ++part)
    most_key_blocks =
        std::max(most_key_blocks,
                 KeyBlocks(band, a.first_query() + begin_of(part), a.first_query() + begin_of(part + 1)).count());
  const double cost = kCostOfPair * static_cast<double>(visible_pairs(a.band, a.first_query(), n.queries)) *
                      static_cast<double>((n.d + n.e) * n.heads / n.groups) / static_cast<double>(parts);
  std::atomic<std::int64_t> next{0};
  parallel_for(heads * parts, cost, [&](std::int64_t begin, std::int64_t end) {
    Forward forward(a, n, most_key_blocks, unit);
    if (parts == 1) {  // all as long: neighbours, whose rows lie together, to one thread
      for (std::int64_t head = begin; head < end; ++head) {
        if (head + 1 < end) forward.foresee((head + 1) / n.groups, (head + 1) % n.groups);
        forward.key_head(head / n.groups, head % n.groups, 0, n.queries);
      }
      return;
    }
    for (std::int64_t job = next++; job < heads * parts; job = next++) {
      const std::int64_t part = parts - 1 - job / heads, head = job % heads;  // the long ones first
      forward.key_head(head / n.groups, head % n.groups, begin_of(part), begin_of(part + 1));
    }
  });
}

}  // namespace blalm::kernels::tiles
