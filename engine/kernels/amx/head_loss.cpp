// Output head and cross-entropy on AMX tiles. Each panel of logits, 32 rows by 256 columns, is reduced while it is in
// the first cache: to its rows' largest logit m and sum s = Σ e^{z - m}, and to e^{z - m} in bf16. Then
//   lse = log Σ_panels s e^m      dz = factor · (e^{z - m} e^{m - lse} - onehot)
// so logits themselves are never written, and each is raised to a power once. The product is summed in f32.
#include <algorithm>
#include <cmath>
#include <vector>

#include "blalm/core/narrow.h"
#include "blalm/core/parallel.h"
#include "blalm/kernels/amx/projection.h"
#include "blalm/kernels/amx/rows.h"
#include "blalm/kernels/cross_entropy.h"
#include "blalm/kernels/projection.h"
#include "blalm/kernels/vector_math.h"

namespace blalm::kernels::amx {
namespace {

std::int64_t panels(std::int64_t vocabulary) { return (vocabulary + kPanelCols - 1) / kPanelCols; }

// tanh with an absolute error of some 1e-7: enough for logits.
float soft_sign(float x) { return 1 - 2 / (1 + vec::exp(2 * x)); }

// Reduces panels of logits. `powers` [N, V] bf16, undefined when no gradient is wanted; `largest` and `sums` f32
// [N, panels]; `target` f32 [N], the target's logit.
class Logits : public Sink {
 public:
  Logits(const HeadLossArgs& args, const Tensor& powers, const Tensor& largest, const Tensor& sums,
         const Tensor& target)
      : vocabulary_(args.weight.dim(0)),
        panels_(panels(vocabulary_)),
        cap_(static_cast<float>(args.soft_cap)),
        targets_(args.targets.data<std::int32_t>()),
        powers_(powers.defined() ? powers.mutable_data<BFloat16>() : nullptr),
        largest_(largest.mutable_data<float>()),
        sums_(sums.mutable_data<float>()),
        target_(target.mutable_data<float>()) {}

  void take(const Panel& panel) const override {
    const std::int64_t cols = panel.cols;
    for (std::int64_t r = 0; r < panel.rows; ++r) {
      alignas(64) float z[kPanelCols];
      for (std::int64_t c = 0; c < cols; c += kBlock) std::copy_n(panel.sums + c * kBlock + r * kBlock, kBlock, z + c);
      if (cap_ > 0)
        for (std::int64_t c = 0; c < cols; ++c) z[c] = cap_ * soft_sign(z[c] / cap_);
      const std::int64_t row = panel.row + r, at = row * panels_ + panel.col / kPanelCols;
      if (const std::int64_t t = targets_[row] - panel.col; t >= 0 && t < cols) target_[row] = z[t];
      const float m = vec::largest<float>(cols, [&](std::int64_t c) { return z[c]; });
      alignas(64) float power[kPanelCols];
      for (std::int64_t c = 0; c < cols; ++c) power[c] = vec::exp(z[c] - m);
      largest_[at] = m;
      sums_[at] = vec::sum<float>(cols, [&](std::int64_t c) { return power[c]; });
      if (powers_ == nullptr) continue;
      if (cap_ > 0)  // the slope of the cap belongs to the gradient alone
        for (std::int64_t c = 0; c < cols; ++c) power[c] *= 1 - (z[c] / cap_) * (z[c] / cap_);
      blalm::narrow(power, powers_ + row * vocabulary_ + panel.col, cols);
    }
  }

 private:
  std::int64_t vocabulary_, panels_;
  float cap_;
  const std::int32_t* targets_;
  BFloat16* powers_;
  float *largest_, *sums_, *target_;
};

// Losses of all rows. In place of each panel's m comes the factor factor · e^{m - lse} that makes its powers
// gradients, and in place of the target's logit its gradient.
void finish_losses(const HeadLossArgs& args, const Tensor& largest, const Tensor& sums, const Tensor& target) {
  const std::int64_t count = largest.dim(1);
  const std::int32_t* targets = args.targets.data<std::int32_t>();
  float *ms = largest.mutable_data<float>(), *ts = target.mutable_data<float>();
  float* losses = args.losses.mutable_data<float>();
  const float* ss = sums.data<float>();
  const auto factor = static_cast<float>(args.factor), cap = static_cast<float>(args.soft_cap);
  parallel_for(largest.dim(0), 8.0 * static_cast<double>(count), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      float* m = ms + i * count;
      const float* s = ss + i * count;
      const float high = vec::largest<float>(count, [=](std::int64_t j) { return m[j]; });
      const float lse =
          high + std::log(vec::sum<float>(count, [=](std::int64_t j) { return s[j] * vec::exp(m[j] - high); }));
      const bool counts = targets[i] >= 0;
      const float row_factor = counts ? factor : 0;
      for (std::int64_t j = 0; j < count; ++j) m[j] = row_factor * vec::exp(m[j] - lse);
      losses[i] = counts ? lse - ts[i] : 0;
      const float slope = cap > 0 && counts ? 1 - (ts[i] / cap) * (ts[i] / cap) : 1;
      if (counts) ts[i] = factor * (vec::exp(ts[i] - lse) - 1) * slope;
    }
  });
}

// Turns powers into gradients, in place, and packs them as the left operand of dw where `left` is defined.
void finish_gradients(const HeadLossArgs& args, const Tensor& powers, const Tensor& factors, const Tensor& target,
                      const Tensor& left) {
  const std::int64_t rows = powers.dim(0), vocabulary = powers.dim(1), count = panels(vocabulary);
  const std::int64_t steps = blocks(rows), across = blocks(vocabulary), width = kPanelCols / kBlock;
  const std::int32_t* targets = args.targets.data<std::int32_t>();
  const float *factor = factors.data<float>(), *target_gradient = target.data<float>();
  BFloat16* data = powers.mutable_data<BFloat16>();
  BFloat16* pieces = left.defined() ? left.mutable_data<BFloat16>() : nullptr;
  const Source source{data, DType::bf16, rows, vocabulary, vocabulary};
  const double cost = static_cast<double>(kBlock * kPanelCols) / 4;
  parallel_for(steps * count, cost, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t step = i / count, panel = i % count, col = panel * kPanelCols;
      const std::int64_t cols = std::min(kPanelCols, vocabulary - col);
      for (std::int64_t row = step * kBlock; row < std::min((step + 1) * kBlock, rows); ++row) {
        BFloat16* z = data + row * vocabulary + col;
        const float f = factor[row * count + panel];
        scale(f, z, z, cols / 16 * 16);
        for (std::int64_t c = cols / 16 * 16; c < cols; ++c) z[c] = BFloat16(f * static_cast<float>(z[c]));
        if (const std::int64_t t = targets[row] - col; t >= 0 && t < cols) z[t] = BFloat16(target_gradient[row]);
      }
      if (pieces != nullptr) {
        const std::int64_t first = step * across + panel * width;
        pack_left_transposed(source, pieces, first, std::min(first + width, (step + 1) * across));
      }
    }
  });
}

void weight_gradient(const HeadLossArgs& args, const Tensor& left) {
  const std::int64_t rows = args.x.dim(0), width = args.x.dim(1);
  const Tensor right = packed(pack_right, args.x, width, rows);
  const Term term{Left::packed(left.data<BFloat16>(), rows), right.data<BFloat16>(), blocks(rows) * kPiece,
                  blocks(rows)};
  Product product = result({&term, 1}, args.dw);
  product.add = args.add_dw;
  multiply({&product, 1});
}

}  // namespace

Reason declines_head_loss(const HeadLossArgs& args) {
  if (args.x.dtype() != DType::bf16) return "takes bf16 only";
  if (args.x.numel() == 0 || args.weight.numel() == 0) return "an empty matrix";
  if (args.dw.defined() && args.dw.dtype() != DType::f32) return "sums gradients of weights in f32 only";
  return nullptr;
}

void head_loss(const HeadLossArgs& args) {
  const std::int64_t rows = args.x.dim(0), vocabulary = args.weight.dim(0), count = panels(vocabulary);
  const bool gradients = args.dx.defined() || args.dw.defined();
  const Tensor powers = gradients ? Tensor::empty({rows, vocabulary}, DType::bf16) : Tensor();
  const Tensor largest = Tensor::empty({rows, count}), sums = Tensor::empty({rows, count}),
               target = Tensor::empty({rows});
  project_into(args.x, args.weight, Logits(args, powers, largest, sums, target));
  finish_losses(args, largest, sums, target);
  if (!gradients) return;
  const Tensor left = args.dw.defined() ? Tensor::empty({packed_size(vocabulary, rows)}, DType::bf16) : Tensor();
  finish_gradients(args, powers, largest, target, left);
  if (args.dx.defined()) project_data({{{powers, args.weight}}, args.dx, false});
  if (args.dw.defined()) weight_gradient(args, left);
}

}  // namespace blalm::kernels::amx
