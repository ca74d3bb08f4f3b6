// The operations of the engine: what models are written in. Each takes and gives Vars, checks shapes and dtypes
// (ShapeError), runs a kernel, and stands on the tape if one of its inputs does. Formulas, gradients and composed
// definitions are in the file named above each group.
//
// Layout: heads are [B, T, H, D] (batch, position, head, feature), which a projection [B, T, H·D] becomes by reshape.
// dtypes: f32, bf16, f64 (and c128 in tests). Inputs of one op share a dtype unless its comment says otherwise.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/autograd/var.h"

namespace blalm::ops {

using Where = Location;

// --- elementwise.cpp: NumPy broadcasting for two operands; f32 with bf16 gives f32.
Var add(const Var& a, const Var& b, Where where = Where::current());
Var sub(const Var& a, const Var& b, Where where = Where::current());
Var mul(const Var& a, const Var& b, Where where = Where::current());
Var div(const Var& a, const Var& b, Where where = Where::current());
Var maximum(const Var& a, const Var& b, Where where = Where::current());  // where equal, the gradient goes to a
Var add_scalar(const Var& x, double c, Where where = Where::current());
Var scale(const Var& x, double c, Where where = Where::current());
Var exp(const Var& x, Where where = Where::current());
Var log(const Var& x, Where where = Where::current());
Var sqrt(const Var& x, Where where = Where::current());
Var rsqrt(const Var& x, Where where = Where::current());
Var square(const Var& x, Where where = Where::current());
Var reciprocal(const Var& x, Where where = Where::current());
Var abs(const Var& x, Where where = Where::current());
Var tanh(const Var& x, Where where = Where::current());
Var sigmoid(const Var& x, Where where = Where::current());
Var silu(const Var& x, Where where = Where::current());
Var log_sigmoid(const Var& x, Where where = Where::current());
Var soft_cap(const Var& x, double cap, Where where = Where::current());  // cap·tanh(x / cap); cap > 0
Var cast(const Var& x, DType dtype, Where where = Where::current());     // bf16, f32 and f64

// --- reduce.cpp: along one axis, which stays with size 1 when `keep`.
Var sum(const Var& x, int axis, bool keep = false, Where where = Where::current());
Var mean(const Var& x, int axis, bool keep = false, Where where = Where::current());  // the axis may not be empty
Var sum_all(const Var& x, Where where = Where::current());                            // one number, shape []
Var cumsum(const Var& x, int axis, bool reverse = false, Where where = Where::current());
// Largest value; a constant as far as the tape goes (a stabiliser, whose gradient cancels).
Tensor max_constant(const Tensor& x, int axis, bool keep = false);

// --- shape.cpp
Var reshape(const Var& x, const Shape& shape, Where where = Where::current());  // a view
// Output axis i is input axis axes[i].
Var transpose(const Var& x, std::span<const int> axes, Where where = Where::current());
Var transpose(const Var& x, std::initializer_list<int> axes, Where where = Where::current());
Var concat(std::span<const Var> parts, int axis, Where where = Where::current());
Var slice(const Var& x, int axis, std::int64_t begin, std::int64_t end, Where where = Where::current());
std::vector<Var> split(const Var& x, std::span<const std::int64_t> sizes, int axis, Where where = Where::current());
// [B,T,H,D] -> [B,T,H·times,D], each head `times` times in a row.
Var repeat_heads(const Var& x, std::int64_t times, Where where = Where::current());

// --- matmul.cpp, linear.cpp, embedding.cpp
struct MatmulOptions {
  bool transpose_a = false, transpose_b = false;
  double alpha = 1;
};
// alpha op(a) op(b): a [..., M, K], b [..., K, N] with equal leading axes, or b [K, N] for all of them.
Var matmul(const Var& a, const Var& b, MatmulOptions options = {}, Where where = Where::current());
// x Wᵀ (+ bias): x [..., in], weight [out, in], bias [out] or undefined. For bf16 x the weight may be f32.
Var linear(const Var& x, const Var& weight, const Var& bias = {}, Where where = Where::current());
// The same with the result in another dtype: f32 gates from bf16 x.
Var linear_to(DType out_dtype, const Var& x, const Var& weight, const Var& bias = {}, Where where = Where::current());
// Several layers of one x, as one node: x is read once, and its gradient is summed before it is written.
struct LinearLayer {
  Var weight, bias;
  std::optional<DType> out = {};  // of the result: x's, or its compute dtype (f32 gates from bf16 x); x's if not set
};
std::vector<Var> linears(const Var& x, std::span<const LinearLayer> layers, Where where = Where::current());
// Rows of weight [V, d]: ids i32 [...] -> [..., d]. DataError for an id outside [0, V).
Var embedding(const Tensor& ids, const Var& weight, Where where = Where::current());

// --- softmax.cpp, rms_norm.cpp
Var softmax(const Var& x, Where where = Where::current());  // over the last axis
// w x (mean(x²) + eps)^-1/2 over the last axis: x [..., d], weight [d]. Gives out_dtype (x's when not set: f32 -> bf16
// is common).
Var rms_norm(const Var& x, const Var& weight, double eps, Where where = Where::current());
Var rms_norm_to(DType out_dtype, const Var& x, const Var& weight, double eps, Where where = Where::current());
// s = x + more and rms_norm_to(out_dtype, s): the residual stream and the norm after it. x, more of one shape and
// dtype.
std::vector<Var> add_rms_norm_to(DType out_dtype, const Var& x, const Var& more, const Var& weight, double eps,
                                 Where where = Where::current());

// --- rope.cpp, swiglu.cpp, short_conv.cpp, dropout.cpp
// Rotary positions, half-split (spec §4.4): x [B, T, H, D], D even; row t is rotated for position start + t.
Var rope(const Var& x, double theta, std::int64_t start = 0, Where where = Where::current());
Var swiglu(const Var& gate, const Var& up, Where where = Where::current());  // silu(gate) up
// Causal depthwise convolution (spec §7): x [B, T, C], weight [C, K]; weight[:, K-1] meets the current position.
Var short_conv(const Var& x, const Var& weight, bool silu = true, Where where = Where::current());
// The same for several streams of one B, T and dtype, as one node: queries, keys and values, each with C and K of its
// own. Results stand in the order of the streams.
struct ConvStream {
  Var x, weight;
};
std::vector<Var> short_convs(std::span<const ConvStream> streams, bool silu = true, Where where = Where::current());
// Zeroes each element with probability p in [0, 1) and scales the rest by 1/(1-p), with the tape's random numbers.
Var dropout(Tape& tape, const Var& x, double p, Where where = Where::current());

// --- attention.cpp
struct AttentionOptions {
  std::int64_t window = 0;  // a query sees its last `window` positions, itself included; 0: all of them
  std::int64_t memory = 0;  // and the first `memory` positions, always causally (spec §8, §9); needs window > 0
  double scale = 0;         // of q·k; 0: D^-1/2
};
// Causal softmax attention: q [B, Tq, H, D], k [B, T, G, D], v [B, T, G, E] -> [B, Tq, H, E]; G divides H (grouped
// heads). Tq = T to train; with Tq < T the queries stand at the last Tq positions (prefill and decoding with a cache).
// Memory is linear in T, and time is when a window is set. ConfigError for a window or memory below 0, or memory
// without a window.
Var attention(const Var& q, const Var& k, const Var& v, AttentionOptions options = {}, Where where = Where::current());

// --- hedgehog.cpp
enum class FeatureMap { fla, lol, exp };  // spec §11.1
// Features of projected queries or keys, over the last axis: y [..., F] -> [..., 2F].
Var hedgehog_features(const Var& y, FeatureMap map, Where where = Where::current());
// hedgehog_features(x Wᵀ + c): x [B, T, H, D]; weight [F, D] shared by the heads with bias [F] or undefined,
// or one weight a head, [H, F, D], without bias.
Var hedgehog(const Var& x, const Var& weight, const Var& bias, FeatureMap map, Where where = Where::current());

// --- modulation.cpp
enum class Modulation { fixed, tanh, sigmoid, raw, convex, clamp };  // spec §10
// linear + rho(alpha) window; `convex` is (1 - rho) linear + rho window with rho = sigmoid(alpha); `fixed` has rho = 1
// and takes no alpha. linear, window [..., C]; alpha [n], n divides C, entry j rules the channels [j·C/n, (j+1)·C/n).
Var modulate(const Var& linear, const Var& window, const Var& alpha, Modulation kind, Where where = Where::current());
double modulation_flops(Modulation kind);  // an element

// --- head_norm.cpp
enum class HeadNormKind { layer, rms, none };  // spec §5.7
double head_norm_flops(HeadNormKind kind);     // an element
// Norm of each head without bias: x [B, T, H, E], weight [H, E]; x itself, and no weight, where the kind is none.
Var head_norm(const Var& x, const Var& weight, double eps, HeadNormKind kind = HeadNormKind::layer,
              Where where = Where::current());
// A second branch: modulate(·, window, alpha, kind).
struct SideBranch {
  Var window, alpha{};
  Modulation kind = Modulation::fixed;
};
// How a mixer's result leaves it: sigmoid(gate) of the normed heads, which the sides join first. gate, sides and result
// [B, T, H·E].
Var gated_head_norm(const Var& x, const Var& weight, const Var& gate, double eps,
                    HeadNormKind kind = HeadNormKind::layer, std::span<const SideBranch> sides = {},
                    Where where = Where::current());

// --- mlstm_gate.cpp, mlstm.cpp
// cap·tanh((x + bias) / cap): the mLSTM's gates from their projections x [..., H]; bias [H], cap > 0.
Var mlstm_gate(const Var& x, const Var& bias, double cap, Where where = Where::current());
enum class MlstmForm { automatic, recurrent, parallel, chunkwise };
// What the recurrence carries from one position to the next, in f32 or wider (spec §5.3).
struct MlstmState {
  Tensor C;  // [B, H, D, E]
  Tensor n;  // [B, H, D]
  Tensor m;  // [B, H]
};
struct MlstmOptions {
  double scale = 0;  // of q·k; 0: D^-1/2
  double eps = 1e-6;
  std::int64_t chunk = 64;                // positions a chunk, for the chunkwise form
  MlstmForm form = MlstmForm::automatic;  // automatic: chunkwise, or recurrent for T = 1
};
// The matrix LSTM (spec §5): q [B, T, H, D], k [B, T, G, D], v [B, T, G, E], input and forget gates i, f [B, T, H]
// before exp and sigmoid (already soft-capped) -> [B, T, H, E]. G divides H. Gates have the compute dtype (f32 for bf16
// q).
Var mlstm(const Var& q, const Var& k, const Var& v, const Var& i, const Var& f, MlstmOptions options = {},
          Where where = Where::current());
// The same, continuing from `state` (undefined members: from the start) and leaving the state after the last position
// there. Not differentiable: for prefill and decoding.
Tensor mlstm_continue(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& i, const Tensor& f,
                      MlstmState& state, MlstmOptions options = {});

// --- cross_entropy.cpp
inline constexpr std::int32_t kIgnore = -1;  // a target that is not predicted
// Mean over targets other than kIgnore of -log softmax(logits)[target]: logits [N, V], targets i32 [N] -> [] (f32 for
// bf16 logits). DataError for a target outside [-1, V).
Var cross_entropy(const Var& logits, const Tensor& targets, Where where = Where::current());
struct HeadLossOptions {
  double soft_cap = 0;    // of the logits; 0: none
  std::int64_t rows = 0;  // rows a chunk; 0: as many as make 32 MiB of logits
};
// cross_entropy(linear(x, weight)), by chunks of rows, so that the [N, V] logits never exist: x [N, d], weight [V, d].
Var linear_cross_entropy(const Var& x, const Var& weight, const Tensor& targets, HeadLossOptions options = {},
                         Where where = Where::current());
// -log softmax(x Wᵀ)[target] of each row, 0 where the target is kIgnore: f32 [N] (f64 for f64). Not differentiable.
Tensor token_losses(const Tensor& x, const Tensor& weight, const Tensor& targets, HeadLossOptions options = {});

}  // namespace blalm::ops

// The same functions written with simpler operations: their meaning, which tests hold the fused kernels to, and what
// runs when KernelPolicy::composed is set. Each is defined beside its fused twin.
namespace blalm::ops::composed {

// These two make M·K·N and N·V numbers: for tests alone, whatever the policy.
Var matmul(const Var& a, const Var& b, MatmulOptions options);
Var embedding(const Tensor& ids, const Var& weight);

Var linear(const Var& x, const Var& weight, const Var& bias);
Var softmax(const Var& x);
Var silu(const Var& x);
Var log_sigmoid(const Var& x);
Var soft_cap(const Var& x, double cap);
Var rms_norm(const Var& x, const Var& weight, double eps);
std::vector<Var> add_rms_norm(const Var& x, const Var& more, const Var& weight, double eps);
Var rope(const Var& x, double theta, std::int64_t start);
Var swiglu(const Var& gate, const Var& up);
Var short_conv(const Var& x, const Var& weight, bool silu);
Var attention(const Var& q, const Var& k, const Var& v, AttentionOptions options);
Var hedgehog_features(const Var& y, FeatureMap map);
Var modulate(const Var& linear, const Var& window, const Var& alpha, Modulation kind);
Var head_norm(const Var& x, const Var& weight, double eps, HeadNormKind kind = HeadNormKind::layer);
Var gated_head_norm(const Var& x, const Var& weight, const Var& gate, double eps,
                    HeadNormKind kind = HeadNormKind::layer, std::span<const SideBranch> sides = {});
Var mlstm_gate(const Var& x, const Var& bias, double cap);
Var mlstm(const Var& q, const Var& k, const Var& v, const Var& i, const Var& f, MlstmOptions options);
Var cross_entropy(const Var& logits, const Tensor& targets);
Var linear_cross_entropy(const Var& x, const Var& weight, const Tensor& targets, HeadLossOptions options);

}  // namespace blalm::ops::composed
