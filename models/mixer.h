// What a layer's first half may be, and what may stand inside it. Behind each of these interfaces is a list in
// config_lists.cpp, and each of their implementations is one file (docs/adding-a-mixer.md).
#pragma once

#include "models/module.h"

namespace blalm {

// Carries information between positions.
class Mixer : public Module {
 public:
  using Module::Module;
  // Normed input [B, T, d] in the operand dtype -> [B, T, d] in the residual dtype. Position t depends on 0..t only.
  virtual Var forward(Pass& pass, const Var& x) = 0;
};

// Queries, keys and values.
struct Qkv {
  Var q, k, v;
};

// A feature on projected queries, keys and values. Its parameters are in modules "q_<name>", "k_<name>",
// "v_<name>" of the mixer.
class Stage {
 public:
  explicit Stage(std::string name) : name_(std::move(name)) {}
  virtual ~Stage() = default;
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;
  virtual Qkv forward(Pass& pass, const Qkv& x) = 0;  // [B, T, C] of each -> the same shapes, causal

 protected:
  Scope enter(Pass& pass) const { return Scope(pass.tape, name_); }

 private:
  std::string name_;
};

// Maps queries or keys to the features that the mLSTM works on.
class FeatureMapModule : public Module {
 public:
  using Module::Module;
  virtual Var forward(Pass& pass, const Var& x) = 0;  // [B, T, H, D] -> [B, T, H, features()]
  virtual std::int64_t features() const = 0;
  virtual double scale() const = 0;  // of the product of query and key features
};

// A second way from position to position, which joins the mLSTM's output after its head norm.
class Branch : public Module {
 public:
  using Module::Module;
  // `heads` are queries, keys and values by heads, [B, T, H, D] and twice [B, T, G, D], where G divides H; `projected` are those
  // before the stages, as the projections gave them. The result is [B, T, H·E], and how it joins.
  virtual ops::SideBranch forward(Pass& pass, const Qkv& heads, const Qkv& projected) = 0;
};

}  // namespace blalm
