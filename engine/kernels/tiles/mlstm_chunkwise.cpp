// The chunkwise form of the mLSTM (spec §5.5, §5.6) for bf16 by tiles. As in eigen/mlstm_chunkwise.cpp, a task is
// one head over all its chunks; products have bf16 operands and f32 sums, states and gates are f32. The formulas are at
// the head of reference/mlstm_chunkwise.cpp; C and n are apart, as are g and δ of ĝ = [g, δ].
#include <immintrin.h>

#include "engine/core/parallel.h"
#include "engine/kernels/tiles/backend.h"
#include "engine/kernels/tiles/mlstm_chunk.h"
#include "engine/kernels/tiles/rows.h"

namespace blalm::kernels::tiles {
namespace {

class Forward {
 public:
  Forward(const MlstmArgs& args, const MlstmSizes& z)
      : z_(z),
        scale_(static_cast<float>(args.scale)),
        eps_(args.eps),
        chunk_(args.chunk),
        q_(args.q),
        k_(args.k),
        v_(args.v),
        i_(args.i),
        f_(args.f),
        h_(args.h),
        a_(args.a),
        m_(args.m),
        first_(args.first, z),
        last_(args.last, z),
        states_(args.states, z) {}

  void head(std::int64_t task, Multiplier& multiply) {
    const std::int64_t b = task / z_.H, head = task % z_.H, chunks = z_.chunks(chunk_);
    state_.load(first_, task, z_);
    for (std::int64_t c = 0; c < chunks; ++c) {
      state_.store(states_, task * chunks + c);
      const std::int64_t t0 = c * chunk_, size = std::min(chunk_, z_.T - t0);
      gates_.start(i_.at(b, t0, head), f_.at(b, t0, head), nullptr, z_.H, size, state_.m);
      const std::int64_t key_head = head / z_.heads_a_group();
      const Source K = rows_of(k_, b, t0, key_head, size), V = rows_of(v_, b, t0, key_head, size);
      read(rows_of(q_, b, t0, head, size), K, V, multiply);
      write(b, t0, head);
      if (c + 1 < chunks || last_) advance(K, multiply);
    }
    state_.store(last_, task);
  }

 private:
  // inside_ = C̃ V, outside_ = Q [C | n], sums_ = Σ_s C̃_ts.
  void read(const Source& Q, const Source& K, const Source& V, Multiplier& multiply) {
    const std::int64_t size = gates_.size, width = padded(size);
    packed_.pack(pack_right_transposed, K, size, z_.D);
    product(multiply, packed_.right_of(left_of(Q)), scores_, size, width);
    weights_.resize(area(size, width));
    sums_.assign(static_cast<std::size_t>(size), 0);
    for (std::int64_t t = 0; t < size; ++t) {
      const float* s = scores_.data() + t * width;
      BFloat16* w = weights_.data() + t * width;
      __m512 sum = _mm512_setzero_ps();
      std::int64_t j = 0;
      for (; j <= t; j += 16) {
        const __m512 decayed = _mm512_mul_ps(_mm512_load_ps(s + j), gates_.decay(t, j));
        narrow(_mm512_mul_ps(_mm512_set1_ps(scale_), decayed), w + j);
        sum = _mm512_add_ps(sum, widen(w + j));  // numerator and normaliser see the same weights
      }
      std::fill(w + j, w + width, BFloat16());
      sums_[static_cast<std::size_t>(t)] = _mm512_reduce_add_ps(sum);
    }
    V_.pack(pack_right, V, z_.E, size);
    product(multiply, V_.right_of(Left::rows(weights_.data(), width)), inside_, size, z_.E);
    if (state_.empty) return;
    packed_.pack(pack_right, matrix(state_.C, z_.D, z_.E), z_.E, z_.D, 1);
    packed_.pack_column(state_.n.data());
    product(multiply, packed_.right_of(left_of(Q)), outside_, size, z_.E + kBlock);
  }

  void write(std::int64_t b, std::int64_t t0, std::int64_t head) {
    const std::int64_t stride = z_.E + kBlock;
    for (std::int64_t t = 0; t < gates_.size; ++t) {
      const auto at = static_cast<std::size_t>(t);
      const float decay = state_.empty ? 0 : scale_ * gates_.beta[at];
      const float* outside = outside_.data() + t * stride;
      const float a = sums_[at] + (state_.empty ? 0 : decay * outside[z_.E]);
      const __m512 inverse = _mm512_set1_ps(MlstmNormaliser<float>(a, gates_.m[at], eps_).inverse);
      const float* inside = inside_.data() + t * z_.E;
      BFloat16* h = h_.at(b, t0 + t, head);
      for (std::int64_t e = 0; e < z_.E; e += 16) {
        __m512 x = _mm512_loadu_ps(inside + e);
        if (!state_.empty) x = _mm512_fmadd_ps(_mm512_set1_ps(decay), _mm512_loadu_ps(outside + e), x);
        narrow(_mm512_mul_ps(inverse, x), h + e);
      }
      if (a_) *a_.at(b, t0 + t, head) = a;
      if (m_) *m_.at(b, t0 + t, head) = gates_.m[at];
    }
  }

  // C ← γ C + (ω K)ᵀ V, n ← γ n + Σ ω k.
  void advance(const Source& K, Multiplier& multiply) {
    const std::int64_t size = gates_.size;
    decayed_.resize(area(size, z_.D));
    float keep = gates_.gamma;
    for (std::int64_t t = 0; t < size; ++t) {
      BFloat16* to = decayed_.data() + t * z_.D;
      scale(gates_.omega[static_cast<std::size_t>(t)], row(K, t), to, z_.D);
      accumulate(keep, state_.n.data(), 1, to, z_.D);
      keep = 1;
    }
    scale_all(state_.C, gates_.gamma);
    packed_.pack(pack_left_transposed, matrix(decayed_, size, z_.D), z_.D, size);
    product(multiply, V_.right_of(packed_.left()), state_.C, z_.D, z_.E, true);
    state_.m = gates_.m[static_cast<std::size_t>(size - 1)];
    state_.empty = false;
  }

  const MlstmSizes z_;
  float scale_;
  double eps_;
  std::int64_t chunk_;
  HeadView<const BFloat16> q_, k_, v_;
  HeadView<const float> i_, f_;
  HeadView<BFloat16> h_;
  HeadView<float> a_, m_;
  CarryView<const float> first_;
  CarryView<float> last_;
  CarryView<float, BFloat16> states_;

  State state_;
  ChunkGates gates_;
  Packed packed_, V_;
  Floats scores_, inside_, outside_, sums_;
  Halves weights_, decayed_;
};

}  // namespace

void mlstm_chunkwise(const MlstmArgs& args, Unit unit) {
  const MlstmSizes z(args);
  const Forward prototype(args, z);
  parallel_for(z.B * z.H, cost_per_head(z, args.chunk), [&](std::int64_t begin, std::int64_t end) {
    Forward forward = prototype;
    Multiplier multiply(unit);
    for (std::int64_t task = begin; task < end; ++task) forward.head(task, multiply);
  });
}

}  // namespace blalm::kernels::tiles
