#include "optim/newton_schulz.h"

#include <cmath>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/kernels/matmul.h"
#include "optim/partition.h"
#include "optim/real.h"

namespace blalm {
namespace {

constexpr double kA = 3.4445, kB = -4.7750, kC = 2.0315;
constexpr double kNormFloor = 1e-7;

// x = u / (‖u‖_F + floor), matrix by matrix, with x in T and u in its compute type.
template <class T>
void normalise(const Tensor& u, const Tensor& x) {
  using C = Compute<T>;
  const std::vector<std::int64_t> sizes(static_cast<std::size_t>(u.dim(0)), u.dim(1) * u.dim(2));
  const Partition partition(sizes);
  std::vector<double> sums(partition.stretches().size()), norms(sizes.size());
  const C* from = u.data<C>();
  T* to = x.mutable_data<T>();
  const auto start = [&](const Partition::Stretch& s) {
    return static_cast<std::int64_t>(s.tensor) * sizes[0] + s.begin;
  };
  partition.for_each(1.0, [&](std::size_t i, const Partition::Stretch& s) {
    sums[i] = sum_of_squares(from + start(s), s.end - s.begin);
  });
  for (std::size_t i = 0; i < sums.size(); ++i) norms[partition.stretches()[i].tensor] += sums[i];
  partition.for_each(1.0, [&](std::size_t, const Partition::Stretch& s) {
    const C scale = static_cast<C>(1 / (std::sqrt(norms[s.tensor]) + kNormFloor));
    const std::int64_t begin = start(s), n = s.end - s.begin;
    for (std::int64_t i = 0; i < n; ++i) to[begin + i] = static_cast<T>(from[begin + i] * scale);
  });
}

// p = a I + b p + q for [n, m, m], with q = c p² in the compute type. With a I inside, one product does the step.
template <class T>
void polynomial(const Tensor& p, const Tensor& q) {
  using C = Compute<T>;
  const std::int64_t m = p.dim(1);
  T* pp = p.mutable_data<T>();
  const C* pq = q.data<C>();
  parallel_for(p.dim(0) * m, static_cast<double>(m), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      T* x = pp + row * m;
      const C* y = pq + row * m;
      const C diagonal = static_cast<C>(kA) + static_cast<C>(kB) * static_cast<C>(x[row % m]) + y[row % m];
      for (std::int64_t j = 0; j < m; ++j) x[j] = static_cast<T>(static_cast<C>(kB) * static_cast<C>(x[j]) + y[j]);
      x[row % m] = static_cast<T>(diagonal);
    }
  });
}

// c = alpha a b, matrix by matrix; either may be transposed.
void multiply(const Tensor& a, bool ta, const Tensor& b, bool tb, const Tensor& c, double alpha = 1) {
  kernels::matmul(
      {kernels::matrices(a, ta), kernels::matrices(b, tb), kernels::matrices(c), 1, a.dim(0), alpha, false});
}

void check(const Tensor& u, DType operands) {
  const bool shape = u.defined() && (u.rank() == 2 || u.rank() == 3) && is_real_parameter_dtype(u.dtype());
  if (!shape)
    throw ShapeError(
        expected_got("newton_schulz", "f32 or f64 [r, c] or [n, r, c]", u.defined() ? u.str() : "no tensor"));
  if (operands != u.dtype() && (operands != DType::bf16 || u.dtype() != DType::f32))
    throw ShapeError(expected_got("newton_schulz", "operands in the dtype of u, or bf16 for f32",
                                  std::string(name_of(operands)) + " for " + u.str()));
}

}  // namespace

Tensor newton_schulz(const Tensor& u, std::int64_t steps, DType operands) {
  check(u, operands);
  const Tensor batch = u.rank() == 3 ? u : u.reshape({1, u.dim(0), u.dim(1)});
  Tensor x = Tensor::empty(batch.shape(), operands);
  if (u.numel() == 0) return x.reshape(u.shape());

  const bool tall = batch.dim(1) > batch.dim(2);
  const std::int64_t small = tall ? batch.dim(2) : batch.dim(1);
  Tensor next = Tensor::empty(batch.shape(), operands);
  const Tensor gram = Tensor::empty({batch.dim(0), small, small}, operands);
  const Tensor square = Tensor::empty(gram.shape(), u.dtype());
  visit_floating(operands, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, Complex>) {
      normalise<T>(batch, x);
      for (std::int64_t i = 0; i < steps; ++i) {
        multiply(x, tall, x, !tall, gram);
        multiply(gram, false, gram, false, square, kC);
        polynomial<T>(gram, square);
        if (tall)
          multiply(x, false, gram, false, next);
        else
          multiply(gram, false, x, false, next);
        std::swap(x, next);
      }
    }
  });
  return x.reshape(u.shape());
}

}  // namespace blalm
