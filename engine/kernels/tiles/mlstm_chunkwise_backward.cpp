// The gradient of the chunkwise mLSTM (spec §5.6) for bf16 by tiles; a task is one key head with its query heads.
// See mlstm_chunkwise.cpp, and reference/mlstm_chunkwise.cpp for the formulas.
#include <immintrin.h>

#include "engine/core/parallel.h"
#include "engine/kernels/tiles/backend.h"
#include "engine/kernels/tiles/mlstm_chunk.h"
#include "engine/kernels/tiles/rows.h"

namespace blalm::kernels::tiles {
namespace {

// What the sweep of a query head carries from a chunk to the one before it.
struct Sweep {
  Floats dC, dn;      // gradient of the state after the chunk
  double dlog_f = 0;  // Σ (q_t·dq_t - k_t·dk_t) over all later positions
};

// x_t += factor_t (y_t + extra_t z): rows of x and y, a vector z.
void add_decayed(Floats& x, const Floats& y, const float* factor, const float* extra, const float* z, std::int64_t rows,
                 std::int64_t width) {
  for (std::int64_t t = 0; t < rows; ++t) {
    const __m512 f = _mm512_set1_ps(factor[t]), e = _mm512_set1_ps(extra != nullptr ? extra[t] : 1);
    for (std::int64_t j = 0; j < width; j += 16) {
      const std::int64_t at = t * width + j;
      const __m512 sum = _mm512_fmadd_ps(e, _mm512_loadu_ps(z + j), _mm512_loadu_ps(y.data() + at));
      _mm512_storeu_ps(x.data() + at, _mm512_fmadd_ps(f, sum, _mm512_loadu_ps(x.data() + at)));
    }
  }
}

class Back {
 public:
  Back(const MlstmBackwardArgs& args, const MlstmSizes& z)
      : z_(z),
        scale_(static_cast<float>(args.scale)),
        eps_(args.eps),
        chunk_(args.chunk),
        q_(args.q),
        k_(args.k),
        v_(args.v),
        h_(args.h),
        dh_(args.dh),
        i_(args.i),
        f_(args.f),
        a_(args.a),
        m_(args.m),
        states_(args.states, z),
        dq_out_(args.dq),
        dk_out_(args.dk),
        dv_out_(args.dv),
        di_out_(args.di),
        df_out_(args.df),
        gates_wanted_(di_out_ || df_out_),
        dq_wanted_(dq_out_ || df_out_),
        dk_wanted_(dk_out_ || gates_wanted_),
        dv_wanted_(dv_out_),
        sweeps_(static_cast<std::size_t>(z.heads_a_group())),
        zero_(static_cast<std::size_t>(std::max(z.D, z.E)), 0) {}

  void key_head(std::int64_t task, Multiplier& multiply) {
    const std::int64_t b = task / z_.G, key_head = task % z_.G, chunks = z_.chunks(chunk_);
    for (Sweep& sweep : sweeps_) {
      sweep.dC.assign(area(z_.D, z_.E), 0);
      sweep.dn.assign(static_cast<std::size_t>(z_.D), 0);
      sweep.dlog_f = 0;
    }
    for (std::int64_t c = chunks - 1; c >= 0; --c) {
      Place at{b, c * chunk_, std::min(chunk_, z_.T - c * chunk_), key_head, 0, 0, c > 0, c + 1 < chunks};
      K_ = rows_of(k_, b, at.t0, key_head, at.size);
      V_ = rows_of(v_, b, at.t0, key_head, at.size);
      Kt_.pack(pack_right_transposed, K_, at.size, z_.D);
      Kr_.pack(pack_right, K_, z_.D, at.size);
      Vt_.pack(pack_right_transposed, V_, at.size, z_.E);
      dk_sum_.assign(area(at.size, z_.D), 0);
      dv_sum_.assign(area(at.size, z_.E), 0);
      for (std::int64_t j = 0; j < z_.heads_a_group(); ++j) {
        at.head = key_head * z_.heads_a_group() + j;
        at.state = (b * z_.H + at.head) * chunks + c;
        query_head(at, sweeps_[static_cast<std::size_t>(j)], multiply);
      }
      write(dk_out_, at, key_head, dk_sum_);
      write(dv_out_, at, key_head, dv_sum_);
    }
  }

 private:
  // A chunk of a query head.
  struct Place {
    std::int64_t b, t0, size, key_head, head, state;  // state: the number of the one before the chunk
    bool has_earlier, has_later;
  };

  void query_head(const Place& at, Sweep& sweep, Multiplier& multiply) {
    gates_.start(i_.at(at.b, at.t0, at.head), f_.at(at.b, at.t0, at.head), m_.at(at.b, at.t0, at.head), z_.H, at.size,
                 states_.m(at.state));
    Q_ = rows_of(q_, at.b, at.t0, at.head, at.size);
    normalise(at);
    pairs(at, multiply);
    if (dv_wanted_ || at.has_earlier) gr_.pack(pack_right, matrix(g_, at.size, z_.E), z_.E, at.size);
    if (dq_wanted_) queries(at, multiply);
    if (dk_wanted_) keys(at, sweep, multiply);
    if (dv_wanted_) values(at, sweep, multiply);
    if (gates_wanted_) gates(at, sweep);
    if (at.has_earlier) carry(at, sweep, multiply);
  }

  // g_t = dh_t / (N_t + eps), δ_t = -N' (g_t·h_t), and the factors scale β_t.
  void normalise(const Place& at) {
    const Source H = rows_of(h_, at.b, at.t0, at.head, at.size), dH = rows_of(dh_, at.b, at.t0, at.head, at.size);
    g_.resize(area(at.size, z_.E));
    delta_.resize(static_cast<std::size_t>(at.size));
    scaled_beta_.resize(static_cast<std::size_t>(at.size));
    for (std::int64_t t = 0; t < at.size; ++t) {
      const auto n = static_cast<std::size_t>(t);
      const MlstmNormaliser<float> normaliser(*a_.at(at.b, at.t0 + t, at.head), gates_.m[n], eps_);
      scale(normaliser.inverse, row(dH, t), g_.data() + t * z_.E, z_.E);
      delta_[n] = normaliser.slope == 0 ? 0 : -normaliser.slope * dot(g_.data() + t * z_.E, row(H, t), z_.E);
      scaled_beta_[n] = scale_ * gates_.beta[n];
    }
  }

  // P_ts = scale D_ts (g_t·v_s + δ_t) and C̃_ts = scale D_ts (q_t·k_s).
  void pairs(const Place& at, Multiplier& multiply) {
    const std::int64_t width = padded(at.size);
    const bool p_wanted = dq_wanted_ || dk_wanted_;
    if (p_wanted) product(multiply, Vt_.right_of(Left::rows(g_.data(), z_.E)), products_, at.size, width);
    if (dv_wanted_) product(multiply, Kt_.right_of(left_of(Q_)), scores_, at.size, width);
    P_.resize(area(at.size, width));
    weights_.resize(area(at.size, width));
    for (std::int64_t t = 0; t < at.size; ++t) {
      const __m512 scale = _mm512_set1_ps(scale_), delta = _mm512_set1_ps(delta_[static_cast<std::size_t>(t)]);
      std::int64_t j = 0;
      for (; j <= t; j += 16) {
        const __m512 d = _mm512_mul_ps(scale, gates_.decay(t, j));
        const std::int64_t n = t * width + j;
        if (p_wanted)
          narrow(_mm512_mul_ps(d, _mm512_add_ps(delta, _mm512_loadu_ps(products_.data() + n))), P_.data() + n);
        if (dv_wanted_) narrow(_mm512_mul_ps(d, _mm512_loadu_ps(scores_.data() + n)), weights_.data() + n);
      }
      std::fill(P_.begin() + t * width + j, P_.begin() + (t + 1) * width, BFloat16());
      std::fill(weights_.begin() + t * width + j, weights_.begin() + (t + 1) * width, BFloat16());
    }
  }

  void queries(const Place& at, Multiplier& multiply) {
    product(multiply, Kr_.right_of(Left::rows(P_.data(), padded(at.size))), dq_, at.size, z_.D);
    if (at.has_earlier) {
      packed_.pack(pack_right_transposed, {states_.C(at.state), DType::bf16, z_.D, z_.E, z_.E}, z_.D, z_.E);
      product(multiply, packed_.right_of(Left::rows(g_.data(), z_.E)), outside_, at.size, z_.D);
      add_decayed(dq_, outside_, scaled_beta_.data(), delta_.data(), states_.n(at.state), at.size, z_.D);
    }
    write(dq_out_, at, at.head, dq_);
  }

  void keys(const Place& at, const Sweep& sweep, Multiplier& multiply) {
    transposed_.pack(pack_left_transposed, matrix(P_, at.size, padded(at.size)), at.size, at.size);
    packed_.pack(pack_right, Q_, z_.D, at.size);
    product(multiply, packed_.right_of(transposed_.left()), dk_, at.size, z_.D);
    if (at.has_later) {
      packed_.pack(pack_right_transposed, matrix(sweep.dC, z_.D, z_.E), z_.D, z_.E);
      product(multiply, packed_.right_of(left_of(V_)), outside_, at.size, z_.D);
      add_decayed(dk_, outside_, gates_.omega.data(), nullptr, sweep.dn.data(), at.size, z_.D);
    }
    add(dk_sum_, dk_);
  }

  void values(const Place& at, const Sweep& sweep, Multiplier& multiply) {
    transposed_.pack(pack_left_transposed, matrix(weights_, at.size, padded(at.size)), at.size, at.size);
    product(multiply, gr_.right_of(transposed_.left()), dv_, at.size, z_.E);
    if (at.has_later) {
      packed_.pack(pack_right, matrix(sweep.dC, z_.D, z_.E), z_.E, z_.D);
      product(multiply, packed_.right_of(left_of(K_)), outside_, at.size, z_.E);
      add_decayed(dv_, outside_, gates_.omega.data(), nullptr, zero_.data(), at.size, z_.E);
    }
    add(dv_sum_, dv_);
  }

  void gates(const Place& at, Sweep& sweep) {
    for (std::int64_t t = at.size - 1; t >= 0; --t) {
      const float di = dot(row(K_, t), dk_.data() + t * z_.D, z_.D);
      if (di_out_) *di_out_.at(at.b, at.t0 + t, at.head) = di;
      if (!df_out_) continue;
      sweep.dlog_f += static_cast<double>(dot(row(Q_, t), dq_.data() + t * z_.D, z_.D)) - di;
      if (at.t0 + t == 0) sweep.dlog_f = 0;                                  // nothing was there to forget
      const float slope = vec::logistic(-*f_.at(at.b, at.t0 + t, at.head));  // d log σ(f) / df
      *df_out_.at(at.b, at.t0 + t, at.head) = static_cast<float>(sweep.dlog_f) * slope;
    }
  }

  // dC ← γ dC + (scale β Q)ᵀ g, dn ← γ dn + Σ scale β δ q.
  void carry(const Place& at, Sweep& sweep, Multiplier& multiply) {
    decayed_.resize(area(at.size, z_.D));
    float keep = gates_.gamma;
    for (std::int64_t t = 0; t < at.size; ++t) {
      const auto n = static_cast<std::size_t>(t);
      scale(scaled_beta_[n], row(Q_, t), decayed_.data() + t * z_.D, z_.D);
      accumulate(keep, sweep.dn.data(), scaled_beta_[n] * delta_[n], row(Q_, t), z_.D);
      keep = 1;
    }
    scale_all(sweep.dC, gates_.gamma);
    transposed_.pack(pack_left_transposed, matrix(decayed_, at.size, z_.D), z_.D, at.size);
    product(multiply, gr_.right_of(transposed_.left()), sweep.dC, z_.D, z_.E, true);
  }

  static void add(Floats& into, const Floats& from) {
    for (std::size_t j = 0; j < into.size(); ++j) into[j] += from[j];
  }

  static void write(const HeadView<BFloat16>& heads, const Place& at, std::int64_t head, const Floats& rows) {
    if (!heads) return;
    const std::int64_t width = heads.width();
    for (std::int64_t t = 0; t < at.size; ++t)
      for (std::int64_t j = 0; j < width; j += 16)
        narrow(_mm512_loadu_ps(rows.data() + t * width + j), heads.at(at.b, at.t0 + t, head) + j);
  }

  const MlstmSizes z_;
  float scale_;
  double eps_;
  std::int64_t chunk_;
  HeadView<const BFloat16> q_, k_, v_, h_, dh_;
  HeadView<const float> i_, f_, a_, m_;
  CarryView<const float, const BFloat16> states_;
  HeadView<BFloat16> dq_out_, dk_out_, dv_out_;
  HeadView<float> di_out_, df_out_;
  bool gates_wanted_, dq_wanted_, dk_wanted_, dv_wanted_;

  std::vector<Sweep> sweeps_;
  Floats zero_;
  ChunkGates gates_;
  Source Q_, K_, V_;
  Packed Kt_, Kr_, Vt_, gr_, packed_, transposed_;
  Halves g_, P_, weights_, decayed_;
  Floats delta_, scaled_beta_, products_, scores_, outside_, dq_, dk_, dv_, dk_sum_, dv_sum_;
};

}  // namespace

void mlstm_chunkwise_backward(const MlstmBackwardArgs& args, Unit unit) {
  const MlstmSizes z(args);
  const Back prototype(args, z);
  const double cost = 3 * cost_per_head(z, args.chunk) * static_cast<double>(z.heads_a_group());
  parallel_for(z.B * z.G, cost, [&](std::int64_t begin, std::int64_t end) {
    Back back = prototype;
    Multiplier multiply(unit);
    for (std::int64_t task = begin; task < end; ++task) back.key_head(task, multiply);
  });
}

}  // namespace blalm::kernels::tiles
