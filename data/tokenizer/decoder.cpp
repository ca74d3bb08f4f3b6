#include "data/tokenizer/decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "data/tokenizer/limits.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

// Takes the first `size` bytes away from `held`.
std::string take(std::string& held, std::size_t size) {
  std::string taken = held.substr(0, size);
  held.erase(0, size);
  return taken;
}

}  // namespace

void Decoder::add_strip(std::string content, std::size_t start, std::size_t stop) {
  assert(!content.empty());
  steps_.push_back({std::move(content), {}, true, start, stop});
}

void Decoder::add_replace(std::string pattern, std::string content) {
  assert(!pattern.empty());
  steps_.push_back({std::move(pattern), std::move(content), false});
}

std::string DecoderRun::push(std::string bytes, bool last) {
  taken_ += bytes.size();
  for (std::size_t i = 0; i < states_.size(); ++i) {
    const Decoder::Step& step = decoder_->steps_[i];
    states_[i].held += bytes;
    bytes = step.strips ? strip(step, states_[i], last) : replace(step, states_[i], last);
    states_[i].given += bytes.size();
    check_growth(states_[i].given);
  }
  return bytes;
}

void DecoderRun::check_growth(std::size_t made) const {
  if (made <= longest_made_of(taken_)) return;
  throw FormatError(
      expected_got(decoder_->where_,
                   fmt::format("steps that make at most {} times a text and {} bytes of it", kMaxGrowth, kMaxAdded),
                   fmt::format("more of {} bytes", taken_)));
}

std::string DecoderRun::strip(const Decoder::Step& step, State& state, bool last) {
  const std::size_t size = step.pattern.size();
  std::string_view left = state.held;
  while (!state.begun && state.stripped < step.start && left.starts_with(step.pattern)) {
    left.remove_prefix(size);
    ++state.stripped;
  }
  state.held.erase(0, state.held.size() - left.size());
  if (!state.begun && state.held.size() < size && !last) return {};  // cannot tell yet
  state.begun = true;
  if (last) {
    for (std::size_t i = 0; i < step.stop && state.held.ends_with(step.pattern); ++i) {
      state.held.resize(state.held.size() - size);
    }
    return take(state.held, state.held.size());
  }
  const std::size_t keep = std::min(state.held.size(), step.stop * size);
  return take(state.held, state.held.size() - keep);
}

std::string DecoderRun::replace(const Decoder::Step& step, State& state, bool last) const {
  std::string out;
  std::size_t at = 0;
  for (std::size_t found; (found = state.held.find(step.pattern, at)) != std::string::npos;) {
    check_growth(state.given + out.size() + step.content.size());
    out.append(state.held, at, found - at).append(step.content);
    at = found + step.pattern.size();
  }
  // The end of what is left may be the beginning of one more.
  const std::size_t rest = state.held.size() - at;
  const std::size_t keep = last ? 0 : std::min(rest, step.pattern.size() - 1);
  out.append(state.held, at, rest - keep);
  state.held.erase(0, state.held.size() - keep);
  return out;
}

}  // namespace blalm
