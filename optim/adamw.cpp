#include "optim/adamw.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "optim/groups.h"
#include "optim/real.h"

namespace blalm {
namespace {

// Factors of one update, in the type that it is computed in.
template <class T>
struct Factors {
  T gradient, beta1, new1, beta2, new2, unbias1, unbias2, eps, keep, lr;
};

// Averages that fade without new gradients would end among the subnormal numbers, where rounding holds them for ever
// and each operation costs some 25 times as much. They become zero instead.
template <class T>
T without_subnormals(T x) {
  return std::abs(x) < std::numeric_limits<T>::min() ? T(0) : x;
}

// Elements [0, n): the step, before the learning rate, goes into `direction`.
template <class T>
void averages(const T* g, T* __restrict m, T* __restrict v, T* __restrict direction, std::int64_t n,
              const Factors<T>& f) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T gradient = f.gradient * g[i];
    m[i] = without_subnormals(f.beta1 * m[i] + f.new1 * gradient);
    v[i] = without_subnormals(f.beta2 * v[i] + f.new2 * gradient * gradient);
    direction[i] = f.unbias1 * m[i] / (std::sqrt(f.unbias2 * v[i]) + f.eps);
  }
}

template <class T>
void apply(T* __restrict p, const T* __restrict direction, std::int64_t n, T keep, T lr) {
  for (std::int64_t i = 0; i < n; ++i) p[i] = p[i] * keep - lr * direction[i];
}

}  // namespace

AdamW::AdamW(std::vector<Parameter*> parameters, const OptimConfig& config)
    : parameters_(std::move(parameters)), config_(config), partition_(sizes_of(parameters_)) {
  for (const Parameter* p : parameters_) {
    m_.push_back(Tensor::zeros(p->value.shape(), p->value.dtype()));
    v_.push_back(Tensor::zeros(p->value.shape(), p->value.dtype()));
  }
  buffers_.resize(parameters_.size());
  sums_.resize(partition_.stretches().size());
}

template <class T>
UpdateSums AdamW::update_stretch(const Update& update, const Partition::Stretch& stretch) const {
  const Parameter& parameter = *parameters_[stretch.tensor];
  const double t = static_cast<double>(update.number);
  const double decay = decays(parameter) ? config_.weight_decay : 0.0;
  const Factors<T> f{static_cast<T>(update.gradient_scale),
                     static_cast<T>(config_.beta1),
                     static_cast<T>(1 - config_.beta1),
                     static_cast<T>(config_.beta2),
                     static_cast<T>(1 - config_.beta2),
                     static_cast<T>(1 / (1 - std::pow(config_.beta1, t))),
                     static_cast<T>(1 / (1 - std::pow(config_.beta2, t))),
                     static_cast<T>(config_.eps),
                     static_cast<T>(1 - update.lr * decay),
                     static_cast<T>(update.lr)};
  const Buffers& buffers = buffers_[stretch.tensor];
  const T* g = static_cast<const T*>(buffers.gradient);
  T* p = static_cast<T*>(buffers.value);
  T* m = static_cast<T*>(buffers.m);
  T* v = static_cast<T*>(buffers.v);
  UpdateSums sums;
  constexpr std::int64_t kPiece = 1024;  // stays in the first-level cache
  alignas(64) T direction[kPiece];
  for (std::int64_t i = stretch.begin; i < stretch.end; i += kPiece) {
    const std::int64_t n = std::min(kPiece, stretch.end - i);
    averages(g + i, m + i, v + i, direction, n, f);
    apply(p + i, direction, n, f.keep, f.lr);
    if (update.statistics) {
      sums.update += sum_of_squares(direction, n);
      sums.value += sum_of_squares(p + i, n);
    }
  }
  return sums;
}

void AdamW::update(const Update& update) {
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    const Parameter& p = *parameters_[k];
    buffers_[k] = {};
    if (p.has_grad) buffers_[k] = {p.value.mutable_raw(), p.grad.raw(), m_[k].mutable_raw(), v_[k].mutable_raw()};
  }
  partition_.for_each(8.0, [&](std::size_t i, const Partition::Stretch& stretch) {
    sums_[i] = {};
    if (buffers_[stretch.tensor].value == nullptr) return;
    visit_real(m_[stretch.tensor].dtype(),
               [&](auto tag) { sums_[i] = update_stretch<typename decltype(tag)::type>(update, stretch); });
  });
}

std::vector<UpdateSums> AdamW::sums() const {
  std::vector<UpdateSums> total(parameters_.size());
  for (std::size_t i = 0; i < sums_.size(); ++i) total[partition_.stretches()[i].tensor] += sums_[i];
  return total;
}

void AdamW::list_state(std::vector<NamedState>& into) const {
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    into.push_back({"adamw.m/" + parameters_[k]->name, m_[k]});
    into.push_back({"adamw.v/" + parameters_[k]->name, v_[k]});
  }
}

}  // namespace blalm
