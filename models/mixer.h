// What a layer's first half may be, and what may stand inside it. Behind each of these interfaces is a list in
// config_lists.cpp, and each of their implementations is one file (docs/adding-a-mixer.md).
#pragma once

#include "blalm/models/module.h"

namespace blalm {

// Carries information between positions.
class Mixer : public Module {
 public:
  using Module::Module;
  // Normed input [B, T, d] in the operand dtype -> [B, T, d] in the residual dtype. Position t depends on 0..t only.
  virtual Var forward(Pass& pass, const Var& x) = 0;
};

// A feature on one stream of projected queries, keys or values.
class Stage : public Module {
 public:
  using Module::Module;
  virtual Var forward(Pass& pass, const Var& x) = 0;  // [B, T, C] -> [B, T, C], causal
};

// Maps queries or keys to the features that the mLSTM works on.
class FeatureMapModule : public Module {
 public:
  using Module::Module;
  virtual Var forward(Pass& pass, const Var& x) = 0;  // [B, T, H, D] -> [B, T, H, features()]
  virtual std::int64_t features() const = 0;
  virtual double scale() const = 0;  // of the product of query and key features
};

// Queries, keys and values.
struct Streams {
  Var q, k, v;
};

// A second way from position to position, whose output joins the mLSTM's after its head norm.
class Branch : public Module {
 public:
  using Module::Module;
  // h [B, T, H·E] -> h with this branch's part, of the same shape. `staged` are the streams by heads, [B, T, H, D] and
  // twice [B, T, G, D], where G divides H; `projected` are those before the stages, as the projections gave them.
  virtual Var join(Pass& pass, const Var& h, const Streams& staged, const Streams& projected) = 0;
};

}  // namespace blalm
