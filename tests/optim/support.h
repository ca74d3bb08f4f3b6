// What the tests of the optimisers share: parameters with random values, and gradients for them.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/parameter.h"
#include "engine/core/rng.h"
#include "engine/kernels/kernel.h"
#include "optim/config.h"
#include "tests/support/tensors.h"
#include "tests/support/threads.h"

namespace blalm::test {

struct Description {
  std::string name;
  Role role;
  Shape shape;
};

// Owns parameters and hands out what an Optimizer takes.
class ParameterList {
 public:
  explicit ParameterList(const std::vector<Description>& list, DType dtype = DType::f32, std::uint64_t seed = 1)
      : rng_(seed) {
    for (const auto& [name, role, shape] : list) {
      Parameter& p = parameters_.emplace_back();
      p.name = name;
      p.role = role;
      p.value = random(shape, dtype);
      p.grad = Tensor::zeros(shape, dtype);
    }
  }

  std::vector<Parameter*> pointers() {
    std::vector<Parameter*> list;
    for (Parameter& p : parameters_) list.push_back(&p);
    return list;
  }
  Parameter& operator[](std::size_t i) { return parameters_[i]; }
  std::size_t size() const { return parameters_.size(); }

  // Fresh gradients N(0, stddev²), a function of the seed and of how often this was called.
  void draw_gradients(double stddev = 1) {
    for (Parameter& p : parameters_) {
      rng_.fill_normal(p.grad, 0, stddev);
      p.has_grad = true;
    }
  }
  void clear_gradients() {
    for (Parameter& p : parameters_) {
      p.grad.fill(0);
      p.has_grad = true;
    }
  }
  std::vector<Tensor> values() const {
    std::vector<Tensor> list;
    for (const Parameter& p : parameters_) list.push_back(p.value.clone());
    return list;
  }

 private:
  Tensor random(const Shape& shape, DType dtype) {
    const Tensor t = Tensor::empty(shape, dtype);
    rng_.fill_normal(t, 0, 1);
    return t;
  }
  std::deque<Parameter> parameters_;
  Rng rng_;
};

// One of each kind that a model has, with two shapes that share a stack, one batch of matrices, odd sizes, and one
// tensor of several partition shares.
inline std::vector<Description> one_of_each() {
  return {{"model.embed_tokens.weight", Role::embedding, {290, 72}},
          {"layers.0.q_proj.weight", Role::matrix, {72, 72}},
          {"layers.0.k_proj.weight", Role::matrix, {72, 72}},
          {"layers.0.down_proj.weight", Role::matrix, {72, 129}},
          {"layers.0.up_proj.weight", Role::matrix, {129, 72}},
          {"layers.0.hedgehog.weight", Role::matrix, {3, 24, 24}},
          {"layers.0.igate.weight", Role::gate, {3, 72}},
          {"layers.0.igate.bias", Role::vector, {3}},
          {"layers.0.q_conv.weight", Role::convolution, {72, 4}},
          {"layers.0.head_norm.weight", Role::vector, {3, 24}},
          {"layers.0.alpha", Role::scalar, {1}},
          {"model.norm.weight", Role::vector, {72}}};
}

// max |a − b| / max |b|.
inline double largest_relative_error(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  double error = 0, scale = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    error = std::max(error, std::abs(a.at(i) - b.at(i)));
    scale = std::max(scale, std::abs(b.at(i)));
    if (std::isnan(a.at(i))) return INFINITY;
  }
  return scale == 0 ? error : error / scale;
}

inline double rms(const Tensor& t) {
  double sum = 0;
  for (std::int64_t i = 0; i < t.numel(); ++i) sum += t.at(i) * t.at(i);
  return std::sqrt(sum / static_cast<double>(t.numel()));
}

inline OptimConfig muon_config() {
  OptimConfig config;
  config.optimizer = OptimizerKind::muon;
  return config;
}

}  // namespace blalm::test
