// Dropout with probability p: y = x ⊙ k / (1 - p), k_i = 1 with probability 1 - p, else 0; dx = dy ⊙ k / (1 - p).
// k_i comes from word i of the tape's random numbers, counted from where they stood, so backward draws it again.
#include "engine/kernels/dropout.h"

#include <fmt/format.h>

#include "engine/autograd/modes.h"
#include "engine/autograd/op.h"
#include "engine/core/error.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {

Var dropout(Tape& tape, const Var& x, double p, Where where) {
  check_floating("dropout", "x", x);
  if (!(p >= 0 && p < 1)) throw ConfigError(expected_got("dropout", "a probability in [0, 1)", fmt::format("{}", p)));
  if (x.requires_grad() && x.tape() != &tape)
    throw ConfigError(
        expected_got("dropout", "the tape of x", "another one", "recompute replays the numbers of x's tape"));
  if (p == 0 || !tape.training() || InferenceMode::active()) return x;

  Op op("dropout", {x}, where);
  const Rng rng = tape.rng();
  tape.rng().set_position(rng.position() + static_cast<std::uint64_t>(x.value().numel()));
  const auto threshold = static_cast<std::uint32_t>(p * 0x1p32);
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  op.ran(kernels::dropout({x.value(), y, rng, threshold, 1 / (1 - p)}));
  op.flops(static_cast<double>(y.numel()));
  return op.finish(y, {}, [rng, threshold, p](Backward& back) {
    Tensor dx = Tensor::empty(back.dout().shape(), back.dout().dtype());
    kernels::dropout({back.dout(), dx, rng, threshold, 1 / (1 - p)});
    back.give(0, dx);
  });
}

}  // namespace blalm::ops
