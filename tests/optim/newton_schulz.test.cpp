// The iteration against singular value decompositions (spec §13.3, T6).
#include "optim/newton_schulz.h"

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <vector>

#include "engine/core/error.h"
#include "tests/optim/support.h"

namespace blalm {
namespace {

using Matrix = Eigen::MatrixXd;

Matrix eigen(const Tensor& t) {
  Matrix m(t.dim(0), t.dim(1));
  for (std::int64_t i = 0; i < t.numel(); ++i) m(i / t.dim(1), i % t.dim(1)) = t.at(i);
  return m;
}

Tensor random_matrix(const Shape& shape, DType dtype, std::uint64_t seed = 7) {
  const Tensor t = Tensor::empty(shape, dtype);
  Rng(seed).fill_normal(t, 0, 1);
  return t;
}

Tensor transpose(const Tensor& t) {
  const Tensor out = Tensor::empty({t.dim(1), t.dim(0)}, t.dtype());
  visit_floating(t.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (std::int64_t i = 0; i < t.dim(0); ++i)
      for (std::int64_t j = 0; j < t.dim(1); ++j)
        out.mutable_data<T>()[j * t.dim(0) + i] = t.data<T>()[i * t.dim(1) + j];
  });
  return out;
}

double frobenius_error(const Tensor& a, const Tensor& b) { return (eigen(a) - eigen(b)).norm() / eigen(b).norm(); }

struct InSingularBasis {
  double off_diagonal = 0;                  // largest |U^T O V| beside the diagonal
  double low = INFINITY, high = -INFINITY;  // diagonal where the normalised singular value is at least `floor`
};

InSingularBasis in_singular_basis(const Tensor& u, const Tensor& o, double floor) {
  const Eigen::JacobiSVD<Matrix> svd(eigen(u), Eigen::ComputeThinU | Eigen::ComputeThinV);
  const Matrix d = svd.matrixU().transpose() * eigen(o) * svd.matrixV();
  InSingularBasis result;
  for (Eigen::Index i = 0; i < d.rows(); ++i)
    for (Eigen::Index j = 0; j < d.cols(); ++j) {
      if (i != j)
        result.off_diagonal = std::max(result.off_diagonal, std::abs(d(i, j)));
      else if (svd.singularValues()(i) / svd.singularValues().norm() >= floor) {
        result.low = std::min(result.low, d(i, i));
        result.high = std::max(result.high, d(i, i));
      }
    }
  return result;
}

const std::vector<Shape> kShapes = {{64, 64}, {48, 128}, {128, 48}, {3, 96}, {97, 61}};

}  // namespace

TEST_CASE("the iteration keeps singular vectors and evens out singular values") {
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.str());
    const Tensor u = random_matrix(shape, DType::f32);
    const Tensor o = newton_schulz(u);
    CHECK(o.dtype() == DType::f32);
    const auto coarse = in_singular_basis(u, o, 0.01), fine = in_singular_basis(u, o, 0.003);
    CHECK(coarse.off_diagonal < 1e-5);
    CHECK(coarse.low >= 0.6815);
    CHECK(coarse.high <= 1.134);
    CHECK(fine.low >= 0.6815);
    CHECK(fine.high <= 1.202);

    const auto bf16 = in_singular_basis(u, newton_schulz(u, 5, DType::bf16), 0.01);
    CHECK(bf16.off_diagonal < 5e-2);
    CHECK(bf16.low > 0.6);
    CHECK(bf16.high < 1.25);
  }
}

TEST_CASE("f32 and bf16 follow f64") {
  for (const Shape& shape : kShapes) {
    CAPTURE(shape.str());
    const Tensor u = random_matrix(shape, DType::f32);
    const Tensor exact = newton_schulz(u.to(DType::f64));
    CHECK(frobenius_error(newton_schulz(u), exact) < 1e-5);
    const double bf16 = frobenius_error(newton_schulz(u, 5, DType::bf16), exact);
    CHECK(bf16 < 0.06);
    CHECK(bf16 > 1e-4);  // else it did not run in bf16
  }
}

TEST_CASE("the formula, with dense matrices") {
  const Tensor u = random_matrix({5, 9}, DType::f64);
  Matrix x = eigen(u) / (eigen(u).norm() + 1e-7);
  for (std::int64_t steps = 1; steps <= 6; ++steps) {
    const Matrix a = x * x.transpose();
    x = (3.4445 * x + (-4.7750 * a + 2.0315 * a * a) * x).eval();
    CHECK((eigen(newton_schulz(u, steps)) - x).norm() < 1e-12);
  }
}

TEST_CASE("tall is wide transposed") {
  for (const DType operands : {DType::f32, DType::bf16}) {
    const Tensor wide = random_matrix({40, 100}, DType::f32);
    CHECK(frobenius_error(transpose(newton_schulz(transpose(wide), 5, operands)), newton_schulz(wide, 5, operands)) <
          (operands == DType::bf16 ? 2e-2 : 1e-5));
  }
}

TEST_CASE("a stack gives what each of its matrices gives alone") {
  for (const Shape& shape : {Shape{7, 20, 33}, Shape{7, 33, 20}, Shape{2, 150, 130}}) {
    const Tensor stack = random_matrix(shape, DType::f64);
    for (std::int64_t i = 0; i < shape[1]; ++i) stack.mutable_data<double>()[i] *= 1e3;  // matrices of unlike norm
    const Tensor together = newton_schulz(stack);
    CHECK(together.shape() == shape);
    for (std::int64_t i = 0; i < shape[0]; ++i)
      CHECK(frobenius_error(together.row(i), newton_schulz(stack.row(i))) < 1e-12);
  }
}

TEST_CASE("the size of the input does not matter, and zero stays zero") {
  const Tensor u = random_matrix({30, 50}, DType::f32), large = Tensor::empty(u.shape()), small = Tensor::empty(u.shape());
  for (std::int64_t i = 0; i < u.numel(); ++i) {
    large.mutable_data<float>()[i] = u.data<float>()[i] * 0x1p60F;  // its squares overflow f32
    small.mutable_data<float>()[i] = u.data<float>()[i] * 0x1p-10F;
  }
  CHECK(frobenius_error(newton_schulz(large), newton_schulz(u)) < 1e-5);
  CHECK(frobenius_error(newton_schulz(small), newton_schulz(u)) < 1e-5);
  const Tensor zero = newton_schulz(Tensor::zeros({3, 4, 5}));
  for (std::int64_t i = 0; i < zero.numel(); ++i) CHECK(zero.at(i) == 0);
  CHECK(newton_schulz(Tensor::empty({0, 4})).numel() == 0);
}

TEST_CASE("a hidden matrix of the base model has the spec's singular values and update size") {
  // σ² of O by the eigenvalues of O Oᵀ. Nearly all of a random square matrix lies above 3e-3 of its norm; the few that
  // do not are those that O leaves below the range.
  for (const Shape& shape : {Shape{768, 768}, Shape{768, 2048}, Shape{12, 768}}) {
    CAPTURE(shape.str());
    const Tensor u = random_matrix(shape, DType::f32);
    const Tensor o = newton_schulz(u);
    const Matrix m = eigen(u), x = eigen(o);
    const Eigen::VectorXd in =
        Eigen::SelfAdjointEigenSolver<Matrix>(m * m.transpose(), Eigen::EigenvaluesOnly).eigenvalues();
    const Eigen::VectorXd out =
        Eigen::SelfAdjointEigenSolver<Matrix>(x * x.transpose(), Eigen::EigenvaluesOnly).eigenvalues();
    const double norm = m.squaredNorm();
    Eigen::Index small = 0;
    while (in(small) / norm < 3e-3 * 3e-3) ++small;
    CHECK(small < 0.1 * static_cast<double>(in.size()));
    // The map is not monotone, so only the count says which outputs belong to dropped inputs.
    CHECK(std::sqrt(out(small)) > 0.65);
    CHECK(std::sqrt(out(out.size() - 1)) < 1.25);
    const double update = 0.2 * std::sqrt(static_cast<double>(std::max(shape[0], shape[1]))) * test::rms(o);
    CHECK(update > 0.175);
    CHECK(update < 0.195);
  }
}

TEST_CASE("what it does not take") {
  CHECK_THROWS_WITH_AS(newton_schulz(Tensor::zeros({4})),
                       "[newton_schulz] expected f32 or f64 [r, c] or [n, r, c], got f32[4]", ShapeError);
  CHECK_THROWS_AS(newton_schulz(Tensor()), ShapeError);
  CHECK_THROWS_AS(newton_schulz(Tensor::zeros({4, 4}, DType::bf16)), ShapeError);
  CHECK_THROWS_AS(newton_schulz(Tensor::zeros({4, 4}, DType::f64), 5, DType::f32), ShapeError);
}

}  // namespace blalm
