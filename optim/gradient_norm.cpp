#include "optim/gradient_norm.h"

#include <cmath>

#include "engine/core/error.h"
#include "optim/real.h"

namespace blalm {

GradientNorm::GradientNorm(std::span<Parameter* const> parameters)
    : parameters_(parameters.begin(), parameters.end()), norms_(parameters.size()) {
  std::vector<std::int64_t> sizes;
  for (const Parameter* p : parameters_) sizes.push_back(p->value.numel());
  partition_ = Partition(sizes);
  sums_.resize(partition_.stretches().size());
}

GradientNorm::Result GradientNorm::measure() {
  for (const Parameter* p : parameters_)
    if (p->has_grad && (p->grad.shape() != p->value.shape() || p->grad.dtype() != p->value.dtype()))
      throw ShapeError(expected_got("optimizer", "a gradient " + p->value.str() + " of " + p->name, p->grad.str()));

  partition_.for_each(1.0, [&](std::size_t i, const Partition::Stretch& s) {
    const Parameter& p = *parameters_[s.tensor];
    sums_[i] = 0;
    if (p.has_grad)
      visit_real(p.grad.dtype(), [&](auto tag) {
        sums_[i] = sum_of_squares(p.grad.data<typename decltype(tag)::type>() + s.begin, s.end - s.begin);
      });
  });

  for (double& norm : norms_) norm = 0;
  for (std::size_t i = 0; i < sums_.size(); ++i) norms_[partition_.stretches()[i].tensor] += sums_[i];
  Result result;
  double total = 0;
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    if (result.non_finite == nullptr && !std::isfinite(norms_[k])) result.non_finite = parameters_[k];
    total += norms_[k];
    norms_[k] = std::sqrt(norms_[k]);
  }
  result.norm = std::sqrt(total);
  return result;
}

}  // namespace blalm
