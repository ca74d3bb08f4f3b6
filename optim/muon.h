// Muon: momentum, orthogonalised matrix by matrix (Jordan et al. 2024; Liu et al. 2025, "Moonlight"; spec §13.2).
#pragma once

#include <vector>

#include "optim/config.h"
#include "optim/update.h"

namespace blalm {

// For each matrix p [r, c] with gradient g, and O = newton_schulz(u):
//   Moonlight       B ← μB + g          u = g + μB (Nesterov) or B        p ← p(1 − ηλ) − η · 0.2 √max(r, c) · O
//   Keller Jordan   B ← μB + (1−μ)g     u = (1−μ)g + μB or B              p ← p(1 − ηλ) − η · √max(1, r/c) · O
// Both momenta give the same O. Weight decay uses η itself, not the scaled step.
class Muon {
 public:
  // Parameters of rank 2 and above; leading axes are batches of matrices. Allocates B, zero, in the dtype of each.
  // Parameters must outlive this and keep their shapes.
  Muon(std::vector<Parameter*> parameters, const OptimConfig& config);

  // Parameters without a gradient are left alone.
  void update(const Update& update);

  const std::vector<Parameter*>& parameters() const { return parameters_; }
  std::vector<UpdateSums> sums() const;                  // a parameter each
  void list_state(std::vector<NamedState>& into) const;  // "muon.momentum/NAME"

 private:
  // Matrices of one shape and dtype that are orthogonalised together, stacked to one [count, rows, cols].
  struct Batch {
    std::vector<std::size_t> members;   // which parameters, in the order of the stack
    std::vector<std::int64_t> offsets;  // of each in the stack, in elements
    std::int64_t count = 0, rows = 0, cols = 0;
    DType dtype = DType::f32;
    Partition partition;           // over the members
    std::vector<UpdateSums> sums;  // a stretch each
  };
  void fill_batches();
  Tensor stack_momentum(const Batch& batch, double gradient_scale) const;
  void apply(Batch& batch, const Tensor& orthogonal, const Update& update) const;

  std::vector<Parameter*> parameters_;
  OptimConfig config_;
  std::vector<Tensor> momentum_;
  std::vector<Batch> batches_;
};

}  // namespace blalm
