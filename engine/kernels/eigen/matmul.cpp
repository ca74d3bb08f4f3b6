#include "engine/kernels/matmul.h"

// Our own team runs the blocks; Eigen stays on the thread that calls it.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>
#include <algorithm>

#include "engine/core/parallel.h"
#include "engine/kernels/eigen/backend.h"

namespace blalm::kernels::eigen {
namespace {

template <class T>
using RowMajor = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
template <class T>
using View = Eigen::Map<const RowMajor<T>, 0, Eigen::OuterStride<>>;

// Rows of c in one task. Fixed, so that results do not depend on the number of threads.
constexpr std::int64_t kRows = 128;

template <class T, class A, class B, class C>
void multiply(const A& a, const B& b, C& c, T alpha, bool add) {
  if (add)
    c.noalias() += alpha * (a * b);
  else
    c.noalias() = alpha * (a * b);
}

template <class T>
void run(const MatmulArgs& args) {
  const T* pa = args.a.tensor.data<T>() + args.a.offset;
  const T* pb = args.b.tensor.data<T>() + args.b.offset;
  T* pc = args.c.tensor.mutable_data<T>() + args.c.offset;
  const std::int64_t m = args.m(), blocks = (m + kRows - 1) / kRows;
  const T alpha = static_cast<T>(args.alpha);
  const double cost =
      0.25 * args.flops() / static_cast<double>(std::max<std::int64_t>(1, args.outer * args.inner * blocks));
  parallel_for(args.outer * args.inner * blocks, cost, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t task = begin; task < end; ++task) {
      const std::int64_t first = task % blocks * kRows, rows = std::min(kRows, m - first);
      const std::int64_t inner = task / blocks % args.inner, outer = task / blocks / args.inner;
      const View<T> a(pa + outer * args.a.outer_stride + inner * args.a.inner_stride, args.a.rows, args.a.cols,
                      Eigen::OuterStride<>(args.a.row_stride));
      const View<T> b(pb + outer * args.b.outer_stride + inner * args.b.inner_stride, args.b.rows, args.b.cols,
                      Eigen::OuterStride<>(args.b.row_stride));
      Eigen::Map<RowMajor<T>, 0, Eigen::OuterStride<>> c(
          pc + outer * args.c.outer_stride + inner * args.c.inner_stride + first * args.c.row_stride, rows, args.n(),
          Eigen::OuterStride<>(args.c.row_stride));
      if (args.a.transposed) {
        const auto block = a.middleCols(first, rows).transpose();
        if (args.b.transposed)
          multiply(block, b.transpose(), c, alpha, args.add);
        else
          multiply(block, b, c, alpha, args.add);
      } else {
        const auto block = a.middleRows(first, rows);
        if (args.b.transposed)
          multiply(block, b.transpose(), c, alpha, args.add);
        else
          multiply(block, b, c, alpha, args.add);
      }
    }
  });
}

}  // namespace

Reason declines_matmul(const MatmulArgs& args) {
  const DType dtype = args.a.tensor.dtype();
  if (dtype != DType::f32 && dtype != DType::f64) return "takes f32 and f64 only";
  if (args.k() == 0) return "nothing to sum over";
  return nullptr;
}

void matmul(const MatmulArgs& args) {
  if (args.a.tensor.dtype() == DType::f32)
    run<float>(args);
  else
    run<double>(args);
}

}  // namespace blalm::kernels::eigen
