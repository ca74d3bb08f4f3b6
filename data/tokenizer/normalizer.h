// Normalizer: changes text before it is cut into words, and remembers where every byte comes from.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/tokenizer/encoding.h"
#include "data/tokenizer/regex.h"

namespace blalm {

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

// Text under normalization. A byte's source is what it was made from in the first text: itself where nothing changed,
// the whole character or cluster that was recomposed, nothing (an empty range) for what was put in.
struct NormalizedText {
  std::string text;
  std::vector<ByteRange> sources;  // one a byte, when tracked
  bool tracked = false;
  std::size_t most = 0;   // bytes
  bool too_long = false;  // more were put in: they are left out

  // `longest`: the bytes that the text may have.
  void reset(std::string_view source, bool track, std::size_t longest);
  // Bytes [begin, end) of `from`, as they are.
  void keep(const NormalizedText& from, std::size_t begin, std::size_t end);
  // New bytes, made from bytes [begin, end) of `from`.
  void put(std::string_view bytes, const NormalizedText& from, std::size_t begin, std::size_t end);
};

class Normalizer {
 public:
  struct Workspace {
    RegexWorkspace regex;
    NormalizedText result;
    NormalizedText scratch;
  };

  // `where` names the normalizer in errors.
  explicit Normalizer(std::string where = {}) : where_(std::move(where)) {}

  // Steps apply in order. Invalid UTF-8 passes through every one of them unchanged.
  void add_unicode_form(UnicodeForm form);
  void add_lowercase();
  void add_strip(bool left, bool right);
  void add_prepend(std::string text);  // to text that is not empty
  void add_replace(Regex pattern, std::string content);
  void add_replace(std::string literal, std::string content);  // `literal` is not empty

  bool empty() const { return steps_.empty(); }
  // Sets workspace.result. FormatError for steps that make more of `text` than limits.h allows.
  void normalize(std::string_view text, bool track, Workspace& workspace) const;

 private:
  using Step = std::function<void(const NormalizedText& in, NormalizedText& out, RegexWorkspace& regex)>;
  std::string where_;
  std::vector<Step> steps_;
};

}  // namespace blalm
