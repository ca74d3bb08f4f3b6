// Linear layer without bias (spec §4.7): y = x Wᵀ.
#pragma once

#include <initializer_list>
#include <vector>

#include "models/module.h"

namespace blalm {

class Linear : public Module {
 public:
  // W [out, in].
  Linear(Module& parent, std::string name, std::int64_t in, std::int64_t out, const Init& weight_init,
         Role role = Role::matrix);

  Var forward_to(DType out, Pass& pass, const Var& x);  // out: the dtype of x or, from bf16, f32
  double flops(std::int64_t) const override { return 2.0 * static_cast<double>(in_ * out_); }

  Parameter& weight;

 private:
  std::int64_t in_, out_;
};

// Several layers that read the same x, as one operation; `wide` asks for a result in the compute dtype.
struct Projection {
  Projection(Linear& layer, bool wide = false) : layer(layer), wide(wide) {}  // NOLINT: the conversion is wanted
  Linear& layer;
  bool wide;
};
std::vector<Var> project(Pass& pass, const Var& x, std::initializer_list<Projection> projections);

}  // namespace blalm
