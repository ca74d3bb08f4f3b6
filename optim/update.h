// What the optimiser tells a group of parameters when it has them updated.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/core/parameter.h"
#include "optim/partition.h"

namespace blalm {

struct Update {
  double lr = 0;
  double gradient_scale = 1;  // of clipping
  std::int64_t number = 1;    // counts from 1
  bool statistics = false;    // sum squares of updates and weights on the way
};

// Sums over one parameter, of the last update that collected statistics.
struct UpdateSums {
  double update = 0;  // Σ (step / lr)², without weight decay
  double value = 0;   // Σ p², after the step

  UpdateSums& operator+=(const UpdateSums& other) {
    update += other.update;
    value += other.value;
    return *this;
  }
};

// A tensor of the optimiser's state, as checkpoints name it.
struct NamedState {
  std::string name;
  Tensor tensor;
};

inline std::vector<std::int64_t> sizes_of(const std::vector<Parameter*>& parameters) {
  std::vector<std::int64_t> sizes;
  for (const Parameter* p : parameters) sizes.push_back(p->value.numel());
  return sizes;
}

}  // namespace blalm
