#include "engine/kernels/mlstm_gate.h"

#include <cmath>

#include "engine/core/parallel.h"
#include "engine/kernels/partial_sums.h"
#include "engine/kernels/reference/backend.h"

namespace blalm::kernels::reference {
namespace {

// Rows of one partial sum of dbias.
constexpr std::int64_t kRowBlock = 256;

}  // namespace

void mlstm_gate(const MlstmGateArgs& a) {
  visit_floating(a.y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T* x = a.x.data<T>();
    const C* bias = a.bias.data<C>();
    T* y = a.y.mutable_data<T>();
    const std::int64_t heads = a.y.dim(1);
    const C cap = static_cast<C>(a.cap);
    parallel_for(a.y.dim(0), 20.0 * static_cast<double>(heads), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        for (std::int64_t h = 0; h < heads; ++h)
          y[row * heads + h] = static_cast<T>(cap * std::tanh((static_cast<C>(x[row * heads + h]) + bias[h]) / cap));
    });
  });
}

void mlstm_gate_backward(const MlstmGateBackwardArgs& a) {
  visit_floating(a.y.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const T *y = a.y.data<T>(), *dy = a.dy.data<T>();
    T* dx = a.dx.defined() ? a.dx.mutable_data<T>() : nullptr;
    const std::int64_t rows = a.y.dim(0), heads = a.y.dim(1), blocks = (rows + kRowBlock - 1) / kRowBlock;
    const Wide<C> cap = static_cast<Wide<C>>(a.cap);
    const PartialSums<Wide<C>> sums(blocks, heads);
    parallel_blocks(rows, kRowBlock, 4.0 * static_cast<double>(heads),
                    [=](std::int64_t block, std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin * heads; i < end * heads; ++i) {
                        const Wide<C> part = static_cast<Wide<C>>(static_cast<C>(y[i])) / cap;
                        const Wide<C> d = static_cast<Wide<C>>(static_cast<C>(dy[i])) * (Wide<C>(1) - part * part);
                        if (dx != nullptr) dx[i] = static_cast<T>(static_cast<C>(d));
                        sums.of(block)[i % heads] += d;
                      }
                    });
    if (a.dbias.defined()) sums.write(a.dbias.mutable_data<C>(), a.add_dbias);
  });
}

}  // namespace blalm::kernels::reference
