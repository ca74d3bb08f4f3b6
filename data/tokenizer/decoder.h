// Decoder: what is left to do to the bytes of the tokens to have text again. Works on bytes as they come, so that
// generated text can be shown token by token.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace blalm {

class Decoder {
 public:
  // `where` names the decoder in errors.
  explicit Decoder(std::string where = {}) : where_(std::move(where)) {}

  // Steps apply in order, each to the text as a whole.
  // Takes away up to `start` times `content` at the beginning and up to `stop` times at the end.
  void add_strip(std::string content, std::size_t start, std::size_t stop);
  // Puts `content` for every `pattern`, which is not empty.
  void add_replace(std::string pattern, std::string content);

 private:
  friend class DecoderRun;
  struct Step {
    std::string pattern;
    std::string content;
    bool strips;
    std::size_t start = 0;
    std::size_t stop = 0;
  };
  std::string where_;
  std::vector<Step> steps_;
};

// One text on its way through the steps of a decoder, which must outlive it.
class DecoderRun {
 public:
  explicit DecoderRun(const Decoder& decoder) : decoder_(&decoder), states_(decoder.steps_.size()) {}

  // Takes the next bytes and returns all of the text that bytes to come cannot change. `last`: no more will come.
  // FormatError for steps that make more of all bytes so far than limits.h allows.
  std::string push(std::string bytes, bool last);

 private:
  struct State {
    std::string held;          // not handed on yet
    std::size_t stripped = 0;  // from the beginning
    std::size_t given = 0;     // bytes handed on
    bool begun = false;        // past the beginning
  };
  static std::string strip(const Decoder::Step& step, State& state, bool last);
  std::string replace(const Decoder::Step& step, State& state, bool last) const;

  void check_growth(std::size_t made) const;

  const Decoder* decoder_;
  std::size_t taken_ = 0;  // bytes of all tokens so far
  std::vector<State> states_;
};

}  // namespace blalm
