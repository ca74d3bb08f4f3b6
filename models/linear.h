// Linear layer without bias (spec §4.7): y = x Wᵀ.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "models/module.h"

namespace blalm {

class Linear : public Module {
 public:
  // W [out, in].
  Linear(Module& parent, std::string name, std::int64_t in, std::int64_t out, const Init& weight_init,
         Role role = Role::matrix);

  // x [B, T, in] -> [B, T, out] of dtype `to`: that of x or, from bf16, f32.
  Var forward_to(DType to, Pass& pass, const Var& x);
  double flops(std::int64_t) const override { return 2.0 * static_cast<double>(in_ * out_); }

  Parameter& weight;

 private:
  std::int64_t in_, out_;
};

// A layer as project() takes it, alone or with the dtype of its result.
struct Projection {
  Projection(Linear& layer, std::optional<DType> out = {}) : layer(layer), out(out) {}  // NOLINT: conversion is wanted
  Linear& layer;
  std::optional<DType> out;
};
inline Projection to(DType out, Linear& layer) { return {layer, out}; }

std::vector<Var> project_all(Pass& pass, const Var& x, std::span<const Projection> projections);

// Layers that read the same x, as one operation: auto [q, k, v] = project(pass, x, q_proj, k_proj, v_proj).
template <class... Layers>
std::array<Var, sizeof...(Layers)> project(Pass& pass, const Var& x, Layers&&... layers) {
  const Projection projections[] = {Projection(layers)...};
  std::array<Var, sizeof...(Layers)> results;
  std::ranges::move(project_all(pass, x, projections), results.begin());
  return results;
}

}  // namespace blalm
