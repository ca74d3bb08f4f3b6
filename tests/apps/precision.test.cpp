#include "apps/common/precision.h"

#include <doctest/doctest.h>

namespace blalm {

TEST_CASE("automatic precision is bf16 on processors that multiply it faster, and gives way to what is asked for") {
  using enum PrecisionChoice;
  CpuInfo plain, tiles, vectors;
  tiles.amx_bf16 = vectors.avx512_bf16 = true;
  plain.avx2 = plain.avx512 = true;
  CHECK(resolved(automatic, plain) == f32);
  CHECK(resolved(automatic, tiles) == bf16);
  CHECK(resolved(automatic, vectors) == bf16);
  CHECK(resolved(bf16, plain) == bf16);
  CHECK(resolved(f32, tiles) == f32);
  CHECK(precision_of(automatic) == precision_of(resolved(automatic)));
  CHECK(precision_of(bf16) == Precision::bf16());
  CHECK(precision_of(f32) == Precision::f32());
  CHECK(name_of(bf16) == "bf16");
  using Products = NewtonSchulzPrecision;
  CHECK(resolved(Products::automatic, bf16) == Products::bf16);
  CHECK(resolved(Products::automatic, f32) == Products::f32);
  CHECK(resolved(Products::f32, bf16) == Products::f32);
  CHECK(resolved(Products::bf16, f32) == Products::bf16);
  CHECK(name_of(automatic) == name_of(resolved(automatic)));
}

}  // namespace blalm
