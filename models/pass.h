// What a forward pass carries through the modules.
#pragma once

#include <cstdint>

#include "engine/autograd/tape.h"
#include "engine/ops/ops.h"

namespace blalm {

class DecodeState;

// dtypes of the activations. Weights, gates, norms' sums, mLSTM states, softmax and loss are f32 (f64 under f64()).
struct Precision {
  DType residual = DType::f32;  // of the residual stream
  DType operand = DType::f32;   // of what goes into products

  static Precision f32() { return {DType::f32, DType::f32}; }
  static Precision bf16() { return {DType::f32, DType::bf16}; }
  static Precision f64() { return {DType::f64, DType::f64}; }  // for models whose parameters are f64
  bool operator==(const Precision&) const = default;
};

// How a model runs; not what it computes.
struct RunOptions {
  Precision precision;
  bool recompute = false;  // keep only the layers' inputs for the backward pass
  ops::MlstmForm mlstm_form = ops::MlstmForm::automatic;
};

// The residual stream, [B, T, d] in the residual dtype: x and an update of it, a mixer's or an MLP's output, which the
// next norm adds to it.
struct ResidualStream {
  Var x, update{};  // undefined: nothing to add
  Var sum() const { return update.defined() ? ops::add(x, update) : x; }
};

struct Pass {
  Tape& tape;
  const RunOptions& options;
  DecodeState* state = nullptr;  // when decoding: what came before

  Var parameter(Parameter& p) const { return tape.parameter(p); }
  DType residual() const { return options.precision.residual; }
  DType operand() const { return options.precision.operand; }
  DType compute() const { return compute_dtype(options.precision.operand); }  // of gates and logits

  bool decoding() const { return state != nullptr; }
  // Positions before the first one of this pass.
  std::int64_t position() const;
  // A slot of the state, as add_state() numbered it. Only when decoding.
  Tensor& slot(int index) const;
};

}  // namespace blalm
