#include "models/decode.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string_view>

#include "engine/core/error.h"
#include "engine/io/safetensors.h"

namespace blalm {
namespace {

constexpr const char* kPosition = "position";
constexpr const char* kConfigKey = "config";
constexpr const char* kPrecision = "precision";

DType dtype_of_slot(const StateSlot& slot, const Precision& p) {
  return slot.wide ? compute_dtype(p.operand) : p.operand;
}

// Those rows of a growing slot that are in use: [batch, count, …].
Tensor last_rows(const Tensor& t, std::int64_t count) {
  Tensor used = Tensor::empty(t.shape().with(1, count), t.dtype());
  const std::int64_t rows = t.dim(1);
  for (std::int64_t b = 0; b < t.dim(0); ++b) used.row(b).copy_from(t.row(b).rows(rows - count, rows));
  return used;
}

// As metadata has it: the dtypes of the residual stream and of operands.
std::string text_of(const Precision& p) { return fmt::format("{} {}", name_of(p.residual), name_of(p.operand)); }

}  // namespace

std::int64_t Pass::position() const { return state == nullptr ? 0 : state->position(); }
Tensor& Pass::slot(int index) const { return state->tensors()[static_cast<std::size_t>(index)]; }

bool is_position_free(const ModelConfig& config) { return config.mixer == "mlstm" && config.swa_window == 0; }

DecodeState::DecodeState(const LanguageModel& model, std::int64_t batch)
    : batch_(batch), precision_(model.run.precision), config_(model.fingerprint()) {
  if (batch < 1) throw ConfigError(expected_got("decode", "a batch of at least 1", fmt::format("{}", batch)));
  for (const StateSlot& slot : model.state_slots())
    tensors_.push_back(Tensor::zeros((slot.growing ? slot.shape.with(0, 0) : slot.shape).with_inserted(0, batch),
                                     dtype_of_slot(slot, precision_)));
}

DecodeState::DecodeState(const DecodeState& other)
    : batch_(other.batch_), position_(other.position_), precision_(other.precision_), config_(other.config_) {
  for (const Tensor& t : other.tensors_) tensors_.push_back(t.clone());
}

DecodeState& DecodeState::operator=(const DecodeState& other) {
  if (this != &other) *this = DecodeState(other);
  return *this;
}

std::int64_t DecodeState::bytes() const {
  std::int64_t bytes = 0;
  for (const Tensor& t : tensors_) bytes += t.bytes();
  return bytes;
}

void DecodeState::check(const LanguageModel& model, std::int64_t batch) const {
  if (config_ != model.fingerprint())
    throw ConfigError("[decode] expected a state of this model's config, got one of another");
  if (precision_ != model.run.precision)
    throw ConfigError(expected_got("decode", "a state of this model's precision", "one of another",
                                   "the precision was changed after the state was made"));
  if (batch != batch_)
    throw ShapeError(expected_got("decode", fmt::format("ids of {} sequences", batch_), fmt::format("{}", batch)));
}

DecodeState DecodeState::gather(const LanguageModel& model, std::span<const StateRow> rows) {
  const std::int64_t position = rows.front().state->position();
  for (const auto& [state, row] : rows) {
    state->check(model, state->batch());
    if (row < 0 || row >= state->batch())
      throw ShapeError(
          expected_got("decode", fmt::format("a row of a batch of {}", state->batch()), fmt::format("{}", row)));
    if (state->position() != position && !is_position_free(model.config()))
      throw ShapeError(expected_got("decode", fmt::format("states at position {}", position),
                                    fmt::format("one at {}", state->position())));
  }
  DecodeState all(model, static_cast<std::int64_t>(rows.size()));
  all.position_ = position;
  for (std::size_t slot = 0; slot < all.tensors_.size(); ++slot) {
    const bool growing = model.state_slots()[slot].growing;
    const std::int64_t used = growing ? model.state_slots()[slot].rows_at(position) : 0;
    Tensor& to = all.tensors_[slot];
    const auto from = [&](const StateRow& r) { return r.state->tensors_[slot].row(r.row); };
    if (growing) {
      std::int64_t capacity = used;
      for (const StateRow& r : rows) capacity = std::max(capacity, from(r).dim(0));
      to = Tensor::zeros(to.shape().with(1, capacity), to.dtype());
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const Tensor source = from(rows[i]);
      const Tensor target = to.row(static_cast<std::int64_t>(i));
      if (growing)
        target.rows(target.dim(0) - used, target.dim(0)).copy_from(source.rows(source.dim(0) - used, source.dim(0)));
      else
        target.copy_from(source);
    }
  }
  return all;
}

void DecodeState::save(const LanguageModel& model, const std::filesystem::path& path) const {
  check(model, batch_);
  SafetensorsWriter writer;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const StateSlot& slot = model.state_slots()[i];
    writer.add(slot.name, slot.growing ? last_rows(tensors_[i], slot.rows_at(position_)) : tensors_[i]);
  }
  writer.metadata(kConfigKey, config_);
  writer.metadata(kPrecision, text_of(precision_));
  writer.metadata(kPosition, fmt::format("{}", position_));
  writer.write(path);
}

DecodeState DecodeState::load(const LanguageModel& model, const std::filesystem::path& path) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  const std::string where = path.string();
  const auto metadata = [&](const char* key) {
    const auto it = file.metadata().find(key);
    if (it == file.metadata().end()) throw FormatError(expected_got(where, fmt::format("metadata '{}'", key), "none"));
    return it->second;
  };
  DecodeState state;
  state.precision_ = model.run.precision;
  state.config_ = model.fingerprint();
  if (metadata(kConfigKey) != state.config_)
    throw ConfigError(expected_got(where, "a decoding state of this model's config", "one of another"));
  if (const std::string precision = metadata(kPrecision); precision != text_of(state.precision_))
    throw ConfigError(expected_got(where, "a decoding state in " + text_of(state.precision_), "one in " + precision));
  const std::string position = metadata(kPosition);
  const auto [end, error] = std::from_chars(position.data(), position.data() + position.size(), state.position_);
  constexpr std::int64_t kMostPositions = std::int64_t{1} << 40;  // below which no shape overflows
  if (error != std::errc() || end != position.data() + position.size() || state.position_ < 0 ||
      state.position_ > kMostPositions)
    throw FormatError(expected_got(where, "a whole number as position", fmt::format("'{}'", position)));

  std::vector<std::string> problems;
  std::set<std::string_view> known;
  for (const StateSlot& slot : model.state_slots()) {
    known.insert(slot.name);
    if (!file.contains(slot.name)) {
      problems.push_back(fmt::format("tensor {} is missing", slot.name));
      continue;
    }
    const Tensor t = file.load(slot.name);
    if (state.batch_ == 0 && t.rank() > 0) state.batch_ = t.dim(0);
    const Shape expected =
        (slot.growing ? slot.shape.with(0, slot.rows_at(state.position_)) : slot.shape).with_inserted(0, state.batch_);
    const DType dtype = dtype_of_slot(slot, state.precision_);
    if (t.shape() != expected || t.dtype() != dtype || state.batch_ < 1)
      problems.push_back(fmt::format("tensor {} is {}, not {}{}", slot.name, t.str(), name_of(dtype), expected.str()));
    state.tensors_.push_back(t);
  }
  for (const std::string& name : file.names())
    if (!known.contains(name)) problems.push_back(fmt::format("tensor {} has no place in the state", name));
  if (!problems.empty()) throw FormatError(fmt::format("[{}] {}", where, fmt::join(problems, "; ")));
  return state;
}

Tensor prefill(LanguageModel& model, const Tensor& ids, DecodeState& state) { return model.next_logits(ids, state); }

Tensor step(LanguageModel& model, const Tensor& ids, DecodeState& state) {
  if (!ids.defined() || ids.rank() != 1) throw ShapeError(expected_got("step", "ids i32 [batch]", ids.str()));
  return model.next_logits(ids.reshape({ids.dim(0), 1}), state);
}

}  // namespace blalm
