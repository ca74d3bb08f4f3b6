#include "engine/core/tensor.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <thread>
#include <vector>

#include "engine/core/error.h"

namespace blalm {
namespace {

Tensor counting(const Shape& shape) {
  Tensor t = Tensor::empty(shape);
  float* p = t.mutable_data<float>();
  for (std::int64_t i = 0; i < t.numel(); ++i) p[i] = static_cast<float>(i);
  return t;
}

}  // namespace

TEST_CASE("views share storage, clones do not") {
  const Tensor t = counting({4, 6});
  const Tensor view = t.reshape({2, -1}), rows = t.rows(1, 3), row = t.row(2), copy = t.clone();
  CHECK(view.shape() == Shape{2, 12});
  CHECK(rows.shape() == Shape{2, 6});
  CHECK(row.shape() == Shape{6});
  CHECK(row.at(0) == 12);
  CHECK(rows.shares_storage_with(t));
  CHECK_FALSE(copy.shares_storage_with(t));
  row.fill(-1);
  CHECK(t.at(12) == -1);
  CHECK(rows.at(6) == -1);
  CHECK(copy.at(12) == 12);
}

TEST_CASE("a view of no rows, and of the rows at the end") {
  const Tensor t = counting({3, 2});
  CHECK(t.rows(3, 3).numel() == 0);
  CHECK(t.rows(2, 3).at(1) == 5);
  CHECK(Tensor::empty({0, 5}).rows(0, 0).numel() == 0);
}

TEST_CASE("wrong views are ShapeErrors that name both sides") {
  const Tensor t = counting({4, 6});
  CHECK_THROWS_WITH_AS(t.reshape({5, 5}), "[reshape] expected a shape of 24 elements, got [5, 5] for f32[4, 6]",
                       ShapeError);
  CHECK_THROWS_AS(t.reshape({-1, 7}), ShapeError);
  CHECK_THROWS_AS(t.reshape({std::int64_t{1} << 62, 4, -1}), ShapeError);
  CHECK_THROWS_AS(t.reshape({-1, -1}), ShapeError);
  CHECK_THROWS_AS(t.reshape({-2, -12}), ShapeError);
  CHECK_THROWS_WITH_AS(t.rows(2, 5), "[rows] expected a range inside the first axis of f32[4, 6], got [2, 5)",
                       ShapeError);
  CHECK_THROWS_AS(t.item(), ShapeError);
  CHECK_THROWS_AS(t.dim(2), ShapeError);
  CHECK_THROWS_AS(Tensor::empty({2}).copy_from(t), ShapeError);
}

TEST_CASE("sizes that overflow are refused before anything is allocated") {
  const std::int64_t big = std::int64_t{1} << 40;
  CHECK_THROWS_AS(Shape({big, big}), ShapeError);
  CHECK_THROWS_AS(Shape({-1}), ShapeError);
  CHECK_THROWS_AS(Shape({1, 1, 1, 1, 1, 1, 1}), ShapeError);
  CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 61}), ShapeError);
  CHECK_THROWS_AS(Tensor::empty({std::int64_t{1} << 60}), DataError);
}

TEST_CASE("every write is counted, reads are not") {
  const Tensor t = Tensor::zeros({3});
  const auto before = t.version();
  (void)t.data<float>();
  (void)t.at(0);
  CHECK(t.version() == before);
  t.fill(1);
  CHECK(t.version() == before + 1);
  t.reshape({3, 1}).fill(2);
  CHECK(t.version() == before + 2);
}

TEST_CASE("conversions between dtypes") {
  const float values[] = {1.0F, -2.5F, 3.14159274F, 0.0F};
  const Tensor t = Tensor::from<float>({4}, values);
  CHECK(t.to(DType::f64).at(2) == doctest::Approx(3.14159274).epsilon(1e-9));
  CHECK(t.to(DType::c128).data<Complex>()[1] == Complex(-2.5, 0));
  CHECK(t.to(DType::bf16).to(DType::f32).at(2) == 3.140625);
  CHECK(t.to(DType::f32).shares_storage_with(t));
  CHECK(Tensor::from_ids({2}, std::vector<std::int32_t>{7, -1}).to(DType::f32).at(1) == -1);
}

TEST_CASE("bf16 rounds to nearest even and keeps NaN and infinity") {
  const auto round = [](float x) { return static_cast<float>(BFloat16(x)); };
  CHECK(round(1.0F) == 1.0F);
  CHECK(round(1.00390625F) == 1.0F);       // half way between 1 and 1.0078125: to even
  CHECK(round(1.01171875F) == 1.015625F);  // half way, the other way round
  CHECK(std::isinf(round(std::numeric_limits<float>::infinity())));
  CHECK(std::isnan(round(std::numeric_limits<float>::quiet_NaN())));
  CHECK(std::isinf(round(std::numeric_limits<float>::max())));
}

TEST_CASE("handles can be copied and dropped on several threads at once") {
  const Tensor t = counting({100});
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&t] {
      for (int k = 0; k < 2000; ++k) {
        const Tensor copy = t, view = copy.reshape({10, 10}), fresh = Tensor::zeros({k % 50 + 1});
        CHECK(view.at(99) == 99);
      }
    });
  for (auto& thread : threads) thread.join();
  CHECK(t.unique());
}

}  // namespace blalm
