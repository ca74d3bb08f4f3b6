// Output head and cross-entropy by tiles. Logits are made transposed, a word of the vocabulary a row and a token a
// column: then the sum over the vocabulary runs down the lanes of a vector, and a block of 32 x 32 is, once raised to
// powers, the left operand of dW and with its pairs interleaved the right one of dxᵀ. Logits themselves are never
// written. With a shift a of each token, nearly always 0, and P = e^{z - a}, S = Σ P:
//   loss = log S + a - z_target      G = P, but P - S at the target (both times the slope of the soft cap)
//   dxᵀ = (Wᵀ G) diag(f)             dW = G (diag(f) x)             f = factor / S
// Where S leaves the range in which all of this is exact, a becomes the token's largest logit and all is done again.
#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/core/derived.h"
#include "engine/core/parallel.h"
#include "engine/kernels/cross_entropy.h"
#include "engine/kernels/tiles/backend.h"
#include "engine/kernels/tiles/linear.h"
#include "engine/kernels/tiles/rows.h"

namespace blalm::kernels::tiles {
namespace {

// z = cap · tanh(x / cap), with an absolute error of some 1e-6 cap.
__m512 capped(__m512 x, float cap) {
  const __m512 one = _mm512_set1_ps(1), two = _mm512_set1_ps(2);
  const __m512 power = exp2(_mm512_mul_ps(x, _mm512_set1_ps(2 * kLog2e / cap)));
  return _mm512_mul_ps(_mm512_set1_ps(cap), _mm512_sub_ps(one, _mm512_div_ps(two, _mm512_add_ps(one, power))));
}

// What a head works with; token counts are padded to blocks.
struct Head {
  const HeadLossArgs& args;
  std::int64_t tokens, width, vocabulary;
  Tensor shift;        // f32 [tokens]
  Tensor sums;         // f32 [vocabulary / 32, tokens]: of P, or its largest logit, of 32 words each
  Tensor target;       // f32 [tokens]: the target's logit
  Tensor left, right;  // G as a left operand [vocabulary, tokens], and as a right one
  BFloat16 *left_data, *right_data;

  explicit Head(const HeadLossArgs& a)
      : args(a),
        tokens(a.x.dim(0)),
        width(a.x.dim(1)),
        vocabulary(a.weight.dim(0)),
        shift(Tensor::zeros({padded(tokens)})),
        sums(Tensor::empty({blocks(vocabulary), padded(tokens)})),
        target(Tensor::zeros({padded(tokens)})) {
    if (a.dw.defined()) left = Tensor::empty({packed_size(vocabulary, tokens)}, DType::bf16);
    if (a.dx.defined()) right = Tensor::empty({packed_size(tokens, vocabulary)}, DType::bf16);
    left_data = left.defined() ? left.mutable_data<BFloat16>() : nullptr;
    right_data = right.defined() ? right.mutable_data<BFloat16>() : nullptr;
  }

  // The pieces of `left` and `right` for a block of the vocabulary and one of tokens; null where there are none.
  BFloat16* left_piece(std::int64_t words, std::int64_t columns) const {
    return left_data != nullptr ? left_data + (words * blocks(tokens) + columns) * kPiece : nullptr;
  }
  BFloat16* right_piece(std::int64_t words, std::int64_t columns) const {
    return right_data != nullptr ? right_data + (columns * blocks(vocabulary) + words) * kPiece : nullptr;
  }
};

// Reduces blocks of logits: to sums and G without the targets' part, or to the largest logits.
class Logits : public Sink {
 public:
  Logits(const Head& head, bool largest)
      : head_(head),
        largest_(largest),
        cap_(static_cast<float>(head.args.soft_cap)),
        shift_(head.shift.data<float>()),
        targets_(head.args.targets.data<std::int32_t>()),
        sums_(head.sums.mutable_data<float>()),
        target_(head.target.mutable_data<float>()) {}

  void take(const Block& block) const override {
    if (cap_ > 0) {
      for (std::int64_t i = 0; i < block.rows * kBlock; i += kLanes)
        _mm512_store_ps(block.sums + i, capped(_mm512_load_ps(block.sums + i), cap_));
    }
    float* sums = sums_ + block.row / kBlock * padded(head_.tokens) + block.col;
    if (largest_) {
      find_largest(block, sums);
    } else {
      keep_targets(block);
      cap_ > 0 ? raise<true>(block, sums) : raise<false>(block, sums);
    }
  }

 private:
  static void find_largest(const Block& block, float* sums) {
    for (std::int64_t v = 0; v < kBlock; v += kLanes) {
      __m512 largest = _mm512_load_ps(block.sums + v);
      for (std::int64_t r = 1; r < block.rows; ++r)
        largest = _mm512_max_ps(largest, _mm512_load_ps(block.sums + r * kBlock + v));
      _mm512_storeu_ps(sums + v, largest);
    }
  }

  void keep_targets(const Block& block) const {
    for (std::int64_t v = 0; v < block.cols; v += kLanes) {
      const __m512i word =
          _mm512_sub_epi32(_mm512_maskz_loadu_epi32(first_lanes(block.cols - v), targets_ + block.col + v),
                           _mm512_set1_epi32(static_cast<int>(block.row)));
      unsigned mask = _mm512_mask_cmplt_epu32_mask(first_lanes(block.cols - v), word,
                                                   _mm512_set1_epi32(static_cast<int>(block.rows)));
      for (; mask != 0; mask &= mask - 1) {
        const std::int64_t i = v + __builtin_ctz(mask);
        target_[block.col + i] = block.sums[(targets_[block.col + i] - block.row) * kBlock + i];
      }
    }
  }

  // P, its slope under the cap in G alone.
  template <bool kCapped>
  void raise(const Block& block, float* sums) const {
    const std::int64_t row = block.row / kBlock, col = block.col / kBlock;
    BFloat16 *left = head_.left_piece(row, col), *right = head_.right_piece(row, col);
    const __m512i pairs = _mm512_load_si512(kPairs.index);
    const __m512 scale = _mm512_set1_ps(kLog2e), one = _mm512_set1_ps(1);
    const __m512 inverse = _mm512_set1_ps(kCapped ? 1 / cap_ : 0);
    __m512 shift[2], sum[2];
    for (std::int64_t v = 0; v < 2; ++v) {
      shift[v] = _mm512_mul_ps(scale, _mm512_loadu_ps(shift_ + block.col + v * kLanes));
      sum[v] = _mm512_setzero_ps();
    }
    for (std::int64_t r = 0; r < kBlock; r += 2) {
      __m512 power[2][2];
      for (std::int64_t i = 0; i < 2; ++i)
        for (std::int64_t v = 0; v < 2; ++v) {
          power[i][v] = _mm512_setzero_ps();
          if (r + i >= block.rows) continue;
          const __m512 z = _mm512_load_ps(block.sums + (r + i) * kBlock + v * kLanes);
          power[i][v] = exp2(_mm512_fmsub_ps(z, scale, shift[v]));
          sum[v] = _mm512_add_ps(sum[v], power[i][v]);
          if constexpr (kCapped) {
            const __m512 t = _mm512_mul_ps(z, inverse);
            power[i][v] = _mm512_mul_ps(power[i][v], _mm512_fnmadd_ps(t, t, one));
          }
        }
      if (left != nullptr)
        for (std::int64_t i = 0; i < 2; ++i)
          _mm512_storeu_si512(left + (r + i) * kDepth, narrow(power[i][0], power[i][1]));
      if (right != nullptr)
        for (std::int64_t v = 0; v < 2; ++v)
          _mm512_storeu_si512(right + v * (kPiece / 2) + r / 2 * kDepth,
                              _mm512_permutexvar_epi16(pairs, narrow(power[0][v], power[1][v])));
    }
    for (std::int64_t v = 0; v < 2; ++v) _mm512_storeu_ps(sums + v * kLanes, sum[v]);
  }

  const Head& head_;
  const bool largest_;
  const float cap_;
  const float* shift_;
  const std::int32_t* targets_;
  float *sums_, *target_;
};

const char kLeft = 0, kLeftTransposed = 0;  // the forms in which the weight [V, d] is kept

void make_logits(const Head& head, Unit unit, bool largest) {
  const Tensor weight = derived_copy(head.args.weight, &kLeft, [&](const Tensor& last) {
    return packed(pack_left, head.args.weight, head.vocabulary, head.width, last);
  });
  const Tensor x = packed(pack_right_transposed, head.args.x, head.tokens, head.width);
  const Term term{Left::packed(weight.data<BFloat16>(), head.width), x.data<BFloat16>(), blocks(head.width) * kPiece,
                  blocks(head.width)};
  const Logits logits(head, largest);
  multiply(unit, term, head.vocabulary, head.tokens, logits);
}

// The sums over all blocks, or the largest of all of them.
std::vector<double> over_vocabulary(const Head& head, bool largest) {
  std::vector<double> all(static_cast<std::size_t>(padded(head.tokens)));
  const std::int64_t words = blocks(head.vocabulary), stride = padded(head.tokens);
  const float* sums = head.sums.data<float>();
  parallel_for(blocks(head.tokens), static_cast<double>(words * kBlock) / 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t col = begin * kBlock; col < end * kBlock; col += kBlock) {
      double sum[kBlock];
      for (std::int64_t i = 0; i < kBlock; ++i) sum[i] = sums[col + i];
      for (std::int64_t row = 1; row < words; ++row)
        for (std::int64_t i = 0; i < kBlock; ++i) {
          const double x = sums[row * stride + col + i];
          sum[i] = largest ? std::max(sum[i], x) : sum[i] + x;
        }
      std::copy_n(sum, kBlock, all.begin() + col);
    }
  });
  return all;
}

std::vector<double> sums_of_powers(const Head& head, Unit unit) {
  make_logits(head, unit, false);
  std::vector<double> sums = over_vocabulary(head, false);
  const auto fits = [](double sum) { return kSmallestSum <= sum && sum <= kLargestSum; };
  if (std::all_of(sums.begin(), sums.begin() + head.tokens, fits)) return sums;
  make_logits(head, unit, true);
  const std::vector<double> largest = over_vocabulary(head, true);
  std::transform(largest.begin(), largest.end(), head.shift.mutable_data<float>(),
                 [](double z) { return static_cast<float>(z); });
  make_logits(head, unit, false);
  return over_vocabulary(head, false);
}

// Losses; the targets' part of G; f.
std::vector<float> finish(const Head& head, const std::vector<double>& sums) {
  std::vector<float> factors(sums.size());
  const std::int32_t* targets = head.args.targets.data<std::int32_t>();
  const float *shift = head.shift.data<float>(), *target = head.target.data<float>();
  const double cap = head.args.soft_cap;
  float* losses = head.args.losses.mutable_data<float>();
  for (std::int64_t i = 0; i < head.tokens; ++i) {
    const std::int64_t t = targets[i];
    const double sum = sums[static_cast<std::size_t>(i)], z = target[i];
    losses[i] = t < 0 ? 0 : static_cast<float>(std::log(sum) + shift[i] - z);
    if (t < 0) continue;
    factors[static_cast<std::size_t>(i)] = static_cast<float>(head.args.factor / sum);
    const double slope = cap > 0 ? 1 - (z / cap) * (z / cap) : 1;
    const BFloat16 gradient(static_cast<float>((std::exp(z - shift[i]) - sum) * slope));
    const std::int64_t row = t / kBlock, col = i / kBlock, r = t % kBlock, c = i % kBlock;
    if (BFloat16* left = head.left_piece(row, col)) left[r * kDepth + c] = gradient;
    if (BFloat16* right = head.right_piece(row, col))
      right[c / kLanes * (kPiece / 2) + r / 2 * kDepth + c % kLanes * 2 + r % 2] = gradient;
  }
  return factors;
}

// Blocks of dxᵀ, tokens times their factors, into dx [tokens, width].
class Transposed : public Sink {
 public:
  Transposed(const std::vector<float>& factors, const Tensor& dx)
      : factors_(factors.data()), dx_(dx.mutable_data<BFloat16>()), width_(dx.dim(1)) {}

  void take(const Block& block) const override {
    const auto rows = static_cast<__mmask32>((std::uint64_t{1} << block.rows) - 1);
    for (std::int64_t c = 0; c < block.cols; ++c) {
      alignas(64) float row[kBlock] = {};
      for (std::int64_t r = 0; r < block.rows; ++r) row[r] = factors_[block.col + c] * block.sums[r * kBlock + c];
      _mm512_mask_storeu_epi16(dx_ + (block.col + c) * width_ + block.row, rows,
                               narrow(_mm512_load_ps(row), _mm512_load_ps(row + kLanes)));
    }
  }

 private:
  const float* factors_;
  BFloat16* dx_;
  std::int64_t width_;
};

void data_gradient(const Head& head, Unit unit, const std::vector<float>& factors) {
  const Tensor weight = derived_copy(head.args.weight, &kLeftTransposed, [&](const Tensor& last) {
    return packed(pack_left_transposed, head.args.weight, head.width, head.vocabulary, last);
  });
  const Term term{Left::packed(weight.data<BFloat16>(), head.vocabulary), head.right.data<BFloat16>(),
                  blocks(head.vocabulary) * kPiece, blocks(head.vocabulary)};
  const Transposed transposed(factors, head.args.dx);
  multiply(unit, term, head.width, head.tokens, transposed);
}

void weight_gradient(const Head& head, Unit unit, const std::vector<float>& factors) {
  const Tensor scaled = Tensor::empty(head.args.x.shape(), DType::bf16);
  const BFloat16* x = head.args.x.data<BFloat16>();
  BFloat16* to = scaled.mutable_data<BFloat16>();
  const std::int64_t width = head.width;
  parallel_for(head.tokens, static_cast<double>(width) / 8, [=, &factors](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      scale(factors[static_cast<std::size_t>(i)], x + i * width, to + i * width, width);
    }
  });
  const Tensor right = packed(pack_right, scaled, width, head.tokens);
  const Term term{Left::packed(head.left.data<BFloat16>(), head.tokens), right.data<BFloat16>(),
                  blocks(head.tokens) * kPiece, blocks(head.tokens)};
  Product product = result({&term, 1}, head.args.dw);
  product.add = head.args.add_dw;
  multiply(unit, {&product, 1});
}

}  // namespace

Reason declines_head_loss(const HeadLossArgs& args) {
  if (args.x.dtype() != DType::bf16) return "takes bf16 only";
  if (args.x.numel() == 0 || args.weight.numel() == 0) return "an empty matrix";
  if (args.dw.defined() && args.dw.dtype() != DType::f32) return "sums gradients of weights in f32 only";
  return nullptr;
}

void head_loss(const HeadLossArgs& args, Unit unit) {
  const Head head(args);
  const std::vector<float> factors = finish(head, sums_of_powers(head, unit));
  if (args.dx.defined()) data_gradient(head, unit, factors);
  if (args.dw.defined()) weight_gradient(head, unit, factors);
}

}  // namespace blalm::kernels::tiles
