#include "blalm/models/features/head_norm.h"

namespace blalm {
namespace {
constexpr double kEps = 1e-6;  // spec §5.7
}

HeadNorm::HeadNorm(Module& parent, std::string name, std::int64_t heads, std::int64_t head_dim, HeadNormKind kind)
    : Module(parent, std::move(name)), heads_(heads), head_dim_(head_dim), kind_(kind) {
  if (kind != HeadNormKind::none)
    weight_ = &add_parameter("weight", {heads * head_dim}, Role::vector, init::constant(1));
  if (kind == HeadNormKind::rms) ones_ = add_constant({head_dim}, 1);
}

Var HeadNorm::forward(Pass& pass, const Var& h) {
  const Shape joined{h.dim(0), h.dim(1), heads_ * head_dim_};
  if (weight_ == nullptr) return ops::reshape(h, joined);
  const Scope scope = enter(pass);
  const Var weight = ops::reshape(pass.parameter(*weight_), {heads_, head_dim_});
  if (kind_ == HeadNormKind::layer) return ops::reshape(ops::head_norm(h, weight, kEps), joined);
  const Var normed = ops::rms_norm(h, ones_, kEps);  // [B, T, H, E]
  return ops::reshape(ops::cast(ops::mul(normed, weight), h.dtype()), joined);
}

Var HeadNorm::gated(Pass& pass, const Var& h, const Var& gate) {
  if (kind_ != HeadNormKind::layer) return ops::sigmoid_gate(forward(pass, h), gate);
  const Scope scope = enter(pass);
  return ops::gated_head_norm(h, ops::reshape(pass.parameter(*weight_), {heads_, head_dim_}), gate, kEps);
}

double HeadNorm::flops(std::int64_t) const {
  const double each = kind_ == HeadNormKind::layer ? 8 : kind_ == HeadNormKind::rms ? 5 : 0;
  return each * static_cast<double>(heads_ * head_dim_);
}

}  // namespace blalm
