// The recurrent form of the mLSTM (spec §5.3) in f32, for f32 and bf16 tensors: the step of decoding. Each row of C is
// read once, updated, multiplied into the output and written, while it is in registers or the first cache.
//   m_t = max(log σ(f_t) + m_{t-1}, i_t)      f' = exp(log σ(f_t) + m_{t-1} - m_t)      i' = exp(i_t - m_t)
//   C ← f' C + i' k_tᵀ v_t                    n ← f' n + i' k_t
//   num = scale q_t C                         a = scale q_t·n
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>
#include <cstdint>

#include "engine/core/parallel.h"
#include "engine/kernels/eigen/backend.h"
#include "engine/kernels/mlstm_math.h"
#include "engine/kernels/mlstm_view.h"

namespace blalm::kernels::eigen {
namespace {

using Matrix = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Row = Eigen::RowVectorXf;

// R rows of C [R, E] and their part of the output: C ← forget C + k v, out += q C, with one number of k and q a row.
// Several rows share each read and write of v and out.
template <int R>
void advance(float* __restrict C, std::int64_t E, float forget, const float* __restrict k, const float* __restrict q,
             const float* __restrict v, float* __restrict out) {
  for (std::int64_t e = 0; e < E; ++e) {
    float sum = out[e];
    for (int r = 0; r < R; ++r) {
      const float c = forget * C[r * E + e] + k[r] * v[e];
      C[r * E + e] = c;
      sum += q[r] * c;
    }
    out[e] = sum;
  }
}

template <class X>
void read(const X* from, Row& row) {
  for (std::int64_t j = 0; j < row.size(); ++j) row[j] = from[j];
}

template <class X>
void run(const MlstmArgs& args) {
  const MlstmSizes z(args);
  const float scale = static_cast<float>(args.scale);
  const HeadView<const X> q_in(args.q), k_in(args.k), v_in(args.v);
  const HeadView<const float> i(args.i), f(args.f);
  const HeadView<X> h(args.h);
  const HeadView<float> a_out(args.a), m_out(args.m);
  const CarryView<const float> first(args.first, z);
  const CarryView<float> last(args.last, z);
  const double cost = 0.5 * static_cast<double>(z.T * z.D * z.E);
  parallel_for(z.B * z.H, cost, [&](std::int64_t begin, std::int64_t end) {
    Row q(z.D), k(z.D), v(z.E), out(z.E), n_unwanted(last ? 0 : z.D);
    Matrix C_unwanted(last ? 0 : z.D, z.E);
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t b = task / z.H, head = task % z.H, key_head = head / z.heads_a_group();
      // The state is worked on where it ends up.
      Eigen::Map<Matrix> C(last ? last.C(task) : C_unwanted.data(), z.D, z.E);
      Eigen::Map<Row> n(last ? last.n(task) : n_unwanted.data(), z.D);
      float m = 0;
      if (first) {
        if (first.C(task) != C.data()) C = Eigen::Map<const Matrix>(first.C(task), z.D, z.E);
        if (first.n(task) != n.data()) n = Eigen::Map<const Row>(first.n(task), z.D);
        m = first.m(task);
      } else {
        C.setZero();
        n.setZero();
      }
      for (std::int64_t t = 0; t < z.T; ++t) {
        read(q_in.at(b, t, head), q);
        read(k_in.at(b, t, key_head), k);
        read(v_in.at(b, t, key_head), v);
        // Exponents in f64, as in the other forms.
        const double i_t = *i.at(b, t, head), kept = log_sigmoid(static_cast<double>(*f.at(b, t, head))) + m;
        m = static_cast<float>(std::max(kept, i_t));
        const float forget = static_cast<float>(std::exp(kept - m)), input = static_cast<float>(std::exp(i_t - m));
        k *= input;
        q *= scale;
        n = forget * n + k;
        out.setZero();
        std::int64_t d = 0;
        for (; d + 4 <= z.D; d += 4)
          advance<4>(C.data() + d * z.E, z.E, forget, k.data() + d, q.data() + d, v.data(), out.data());
        for (; d < z.D; ++d)
          advance<1>(C.data() + d * z.E, z.E, forget, k.data() + d, q.data() + d, v.data(), out.data());
        const float a = q.dot(n), inverse = MlstmNormaliser<float>(a, m, args.eps).inverse;
        for (std::int64_t e = 0; e < z.E; ++e) h.at(b, t, head)[e] = static_cast<X>(out[e] * inverse);
        if (a_out) *a_out.at(b, t, head) = a;
        if (m_out) *m_out.at(b, t, head) = m;
      }
      if (last) last.m(task) = m;
    }
  });
}

}  // namespace

void mlstm_recurrent(const MlstmArgs& args) {
  if (args.q.dtype() == DType::f32)
    run<float>(args);
  else
    run<BFloat16>(args);
}

}  // namespace blalm::kernels::eigen
