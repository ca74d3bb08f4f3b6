#include "optim/muon.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "optim/groups.h"
#include "optim/newton_schulz.h"
#include "optim/real.h"

namespace blalm {
namespace {

// Elements of a stack. Enough that products of small matrices share a call, little enough to stay in the cache.
constexpr std::int64_t kStack = std::int64_t{1} << 20;

template <class T>
void gather(const T* g, T* __restrict momentum, T* __restrict u, std::int64_t n, T keep, T take, T ahead_g, T ahead_m) {
  for (std::int64_t i = 0; i < n; ++i) {
    momentum[i] = keep * momentum[i] + take * g[i];
    u[i] = ahead_g * g[i] + ahead_m * momentum[i];
  }
}

template <class T, class O>
void step(T* __restrict p, const O* __restrict o, std::int64_t n, T keep, T scale) {
  for (std::int64_t i = 0; i < n; ++i) p[i] = p[i] * keep - scale * static_cast<T>(o[i]);
}

// What turns an orthogonal matrix into a step, before the learning rate.
double step_scale(MuonForm form, std::int64_t rows, std::int64_t cols) {
  const double r = static_cast<double>(rows), c = static_cast<double>(cols);
  return form == MuonForm::moonlight ? 0.2 * std::sqrt(std::max(r, c)) : std::sqrt(std::max(1.0, r / c));
}

}  // namespace

Muon::Muon(std::vector<Parameter*> parameters, const OptimConfig& config)
    : parameters_(std::move(parameters)), config_(config) {
  for (const Parameter* p : parameters_) momentum_.push_back(Tensor::zeros(p->value.shape(), p->value.dtype()));
  fill_batches();
}

void Muon::fill_batches() {
  for (std::size_t k = 0; k < parameters_.size(); ++k) {
    const Tensor& value = parameters_[k]->value;
    const std::int64_t rows = value.dim(-2), cols = value.dim(-1);
    const auto has_room = [&](const Batch& b) {
      return b.rows == rows && b.cols == cols && b.dtype == value.dtype() &&
             b.count * rows * cols + value.numel() <= kStack;
    };
    auto batch = std::ranges::find_if(batches_, has_room);
    if (batch == batches_.end()) {
      batches_.emplace_back();
      batch = batches_.end() - 1;
      batch->rows = rows;
      batch->cols = cols;
      batch->dtype = value.dtype();
    }
    batch->offsets.push_back(batch->count * rows * cols);
    batch->members.push_back(k);
    batch->count += value.numel() / (rows * cols);
  }
  for (Batch& batch : batches_) {
    std::vector<std::int64_t> sizes;
    for (const std::size_t k : batch.members) sizes.push_back(parameters_[k]->value.numel());
    batch.partition = Partition(sizes);
    batch.sums.resize(batch.partition.stretches().size());
  }
}

// Takes the gradients in and returns u. Without a gradient u is zero, and so is then the orthogonal matrix.
Tensor Muon::stack_momentum(const Batch& batch, double gradient_scale) const {
  const Tensor u = Tensor::empty({batch.count, batch.rows, batch.cols}, batch.dtype);
  visit_real(batch.dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* stack = u.mutable_data<T>();
    std::vector<T*> momenta;
    for (const std::size_t k : batch.members) momenta.push_back(momentum_[k].mutable_data<T>());
    const double mu = config_.momentum, take = config_.muon_form == MuonForm::moonlight ? 1 : 1 - mu;
    const double ahead_g = config_.nesterov ? take : 0, ahead_m = config_.nesterov ? mu : 1;
    batch.partition.for_each(4.0, [&](std::size_t, const Partition::Stretch& s) {
      const Parameter& p = *parameters_[batch.members[s.tensor]];
      T* to = stack + batch.offsets[s.tensor] + s.begin;
      const std::int64_t n = s.end - s.begin;
      if (p.has_grad)
        gather(p.grad.data<T>() + s.begin, momenta[s.tensor] + s.begin, to, n, static_cast<T>(mu),
               static_cast<T>(take * gradient_scale), static_cast<T>(ahead_g * gradient_scale),
               static_cast<T>(ahead_m));
      else
        std::fill_n(to, n, T(0));
    });
  });
  return u;
}

void Muon::apply(Batch& batch, const Tensor& orthogonal, const Update& update) const {
  const double scale = step_scale(config_.muon_form, batch.rows, batch.cols);
  const auto run = [&]<class T, class O>(TypeTag<T>, TypeTag<O>) {
    const O* o = orthogonal.data<O>();
    std::vector<T*> values;
    for (const std::size_t k : batch.members)
      values.push_back(parameters_[k]->has_grad ? parameters_[k]->value.template mutable_data<T>() : nullptr);
    batch.partition.for_each(4.0, [&](std::size_t i, const Partition::Stretch& s) {
      batch.sums[i] = {};
      if (values[s.tensor] == nullptr) return;
      const double decay = decays(*parameters_[batch.members[s.tensor]]) ? config_.weight_decay : 0.0;
      T* p = values[s.tensor] + s.begin;
      const O* from = o + batch.offsets[s.tensor] + s.begin;
      const std::int64_t n = s.end - s.begin;
      step(p, from, n, static_cast<T>(1 - update.lr * decay), static_cast<T>(update.lr * scale));
      if (update.statistics) batch.sums[i] = {scale * scale * sum_of_squares(from, n), sum_of_squares(p, n)};
    });
  };
  if (orthogonal.dtype() == DType::bf16)
    run(TypeTag<float>{}, TypeTag<BFloat16>{});
  else
    visit_real(batch.dtype, [&](auto tag) { run(tag, tag); });
}

void Muon::update(const Update& update) {
  for (Batch& batch : batches_) {
    const bool bf16 = config_.ns_precision == NewtonSchulzPrecision::bf16 && batch.dtype == DType::f32;
    const Tensor u = stack_momentum(batch, update.gradient_scale);
    apply(batch, newton_schulz(u, config_.ns_steps, bf16 ? DType::bf16 : batch.dtype), update);
  }
}

std::vector<UpdateSums> Muon::sums() const {
  std::vector<UpdateSums> total(parameters_.size());
  for (const Batch& batch : batches_)
    for (std::size_t i = 0; i < batch.sums.size(); ++i)
      total[batch.members[batch.partition.stretches()[i].tensor]] += batch.sums[i];
  return total;
}

void Muon::list_state(std::vector<NamedState>& into) const {
  for (std::size_t k = 0; k < parameters_.size(); ++k)
    into.push_back({"muon.momentum/" + parameters_[k]->name, momentum_[k]});
}

}  // namespace blalm
