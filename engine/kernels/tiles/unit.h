// What can multiply tiles of bf16 with sums in f32. The kernels of this folder run on either: only the product of two
// blocks (tiles.h) is written twice.
#pragma once

#include "engine/kernels/kernel.h"

namespace blalm::kernels::tiles {

enum class Unit {
  amx,     // the tile registers of AMX
  avx512,  // the vector registers of AVX-512, with its products of pairs of bf16
};

// Why this processor has not got them, or nullptr.
Reason no_amx();
Reason no_avx512();

// For the lists of implementations: run(args, unit).
template <Unit kUnit, auto kRun, class Args>
void on(const Args& args) {
  kRun(args, kUnit);
}

}  // namespace blalm::kernels::tiles
