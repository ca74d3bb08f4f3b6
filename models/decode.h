// Decoding: one token at a time, with a state whose size does not depend on how many came before (spec §5.3, §7, §8.1).
//
//   DecodeState state(model, 1);
//   Tensor logits = prefill(model, prompt, state);      // [1, V]
//   for (;;) logits = step(model, next_token, state);
//
// The state holds, for each layer, the mLSTM's C, n and m, the last K-1 inputs of each convolution, and the keys and
// values of the window and its memory, which take room as they come, up to the window's. Only the Transformer's keys
// and values grow with the position without end. A copy of a state is independent of the original: what two
// continuations of one prompt need.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "models/language_model.h"

namespace blalm {

// Whether a state does not depend on how far its sequence has come. Attention rotates queries and keys by their
// position and keeps them by it; all else does not know of positions.
bool is_position_free(const ModelConfig& config);

class DecodeState;
struct StateRow {
  const DecodeState* state;
  std::int64_t row;  // of its batch
};

class DecodeState {
 public:
  // The state before the first token of `batch` sequences, for the model's present precision. Stays usable when the
  // model's weights change; ConfigError on use with a model of another config or precision.
  DecodeState(const LanguageModel& model, std::int64_t batch);
  DecodeState(const DecodeState& other);
  DecodeState(DecodeState&&) noexcept = default;
  DecodeState& operator=(const DecodeState& other);
  DecodeState& operator=(DecodeState&&) noexcept = default;

  // Sequences of one or more states as a new one, in this order; at least one. However many rows their growing slots
  // have, only what is in use is taken. ShapeError for a row that is not there, and for positions that differ, unless
  // the model is position-free; ConfigError as check() says.
  static DecodeState gather(const LanguageModel& model, std::span<const StateRow> rows);

  std::int64_t batch() const { return batch_; }
  // Positions seen, learned meta tokens included.
  std::int64_t position() const { return position_; }
  void advance(std::int64_t positions) { position_ += positions; }
  std::int64_t bytes() const;

  // As model.state_slots() lists them, each [batch, …].
  std::vector<Tensor>& tensors() { return tensors_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }

  // Throws ConfigError unless the state was made for a model of this config and precision.
  void check(const LanguageModel& model, std::int64_t batch) const;

  // A safetensors file: a tensor a slot; metadata "config", "position", "precision".
  void save(const LanguageModel& model, const std::filesystem::path& path) const;
  // Throws DataError for a file that cannot be read, ConfigError for a state of another config or precision, and one
  // FormatError that lists all missing, extra and mis-shaped tensors of a damaged one.
  static DecodeState load(const LanguageModel& model, const std::filesystem::path& path);

 private:
  DecodeState() = default;

  std::int64_t batch_ = 0, position_ = 0;
  Precision precision_;
  std::string config_;  // as JSON: what the state fits
  std::vector<Tensor> tensors_;
};

// Reads ids i32 [B, T], T >= 1, after what the state has seen; gives the logits [B, V] after the last of them.
Tensor prefill(LanguageModel& model, const Tensor& ids, DecodeState& state);
// The same for one token of each sequence: ids i32 [B].
Tensor step(LanguageModel& model, const Tensor& ids, DecodeState& state);

}  // namespace blalm
