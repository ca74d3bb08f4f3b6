// What encoding is asked for and what it gives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace blalm {

// Bytes [begin, end) of some text.
struct ByteRange {
  std::size_t begin = 0;
  std::size_t end = 0;

  bool operator==(const ByteRange&) const = default;
};

struct EncodeOptions {
  // Put the tokens of the file's post-processor around the text (<s> … </s> in some files, nothing in ours).
  bool add_special_tokens = false;
  // "<s>" in the text is the token <s>. False: it is text like any other, whoever wrote it.
  bool find_special_tokens = true;
};

struct Encoding {
  std::vector<std::int32_t> ids;
  // For each token the bytes of the input that it stands for. Tokens of the post-processor have (0, 0). A token may
  // hold part of a character; where a normalizer changed characters, every token made from them has all of them. Where
  // the file's post-processor says trim_offsets, spaces at either end are left out.
  std::vector<ByteRange> ranges;
};

}  // namespace blalm
