#include "blalm/models/features/short_conv.h"

#include <cmath>

namespace blalm {

ShortConv::ShortConv(Module& parent, std::string name, std::int64_t channels, std::int64_t kernel)
    : Module(parent, std::move(name)), channels_(channels), kernel_(kernel) {
  if (kernel == 0) return;
  const double bound = 1 / std::sqrt(static_cast<double>(kernel));
  weight_ = &add_parameter("weight", {channels, kernel}, Role::convolution, init::uniform(-bound, bound));
  last_ = add_state("last", {kernel - 1, channels});
}

Var ShortConv::forward(Pass& pass, const Var& x) {
  if (weight_ == nullptr) return x;
  const Scope scope = enter(pass);
  const Var weight = pass.parameter(*weight_);
  if (!pass.decoding()) return ops::short_conv(x, weight);

  Tensor& last = pass.slot(last_);
  const std::int64_t length = x.dim(1), before = kernel_ - 1;
  const Var parts[] = {last, x};
  const Var all = ops::concat(parts, 1);  // [B, K-1+T, C]
  last.copy_from(ops::slice(all, 1, length, length + before).value());
  return ops::slice(ops::short_conv(all, weight), 1, before, before + length);
}

double ShortConv::flops(std::int64_t) const { return 2.0 * static_cast<double>(channels_ * kernel_); }

}  // namespace blalm
