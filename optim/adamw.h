// AdamW: Adam with decoupled weight decay (Loshchilov & Hutter 2019; spec §13.1).
#pragma once

#include <vector>

#include "optim/config.h"
#include "optim/update.h"

namespace blalm {

// m ← β₁m + (1−β₁)g     v ← β₂v + (1−β₂)g²     p ← p(1 − ηλ) − η · (m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)
// with t the number of the update, counted for all parameters together, and λ = 0 where decays() says so.
class AdamW {
 public:
  // Allocates m and v, zero, in the dtype of each parameter. Parameters must outlive this and keep their shapes.
  AdamW(std::vector<Parameter*> parameters, const OptimConfig& config);

  // One parallel pass that reads p, g, m, v and writes p, m, v. Parameters without a gradient are left alone.
  void update(const Update& update);

  const std::vector<Parameter*>& parameters() const { return parameters_; }
  std::vector<UpdateSums> sums() const;                  // a parameter each
  void list_state(std::vector<NamedState>& into) const;  // "adamw.m/NAME", "adamw.v/NAME"

 private:
  // Where an update finds one parameter's numbers. Taken before the parallel pass: write access is recorded.
  struct Buffers {
    void* value = nullptr;  // null: no gradient, no update
    const void* gradient = nullptr;
    void *m = nullptr, *v = nullptr;
  };
  template <class T>
  UpdateSums update_stretch(const Update& update, const Partition::Stretch& stretch) const;

  std::vector<Parameter*> parameters_;
  OptimConfig config_;
  std::vector<Tensor> m_, v_;
  Partition partition_;
  std::vector<Buffers> buffers_;
  std::vector<UpdateSums> sums_;  // a stretch each
};

}  // namespace blalm
