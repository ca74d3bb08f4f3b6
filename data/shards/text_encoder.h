// A tokenizer, as far as preparing data needs one.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "data/shards/shard.h"
#include "data/tokenizer/tokenizer.h"

namespace blalm {

struct TextEncoder {
  // The ids of a text, without separators. Called from several threads at once.
  std::function<std::vector<std::int32_t>(std::string_view)> encode;
  TokenizerId id;
  std::int32_t bos = -1;  // ids of the separators; -1: it has none
  std::int32_t eos = -1;
};

// Which tokenizer it is: the fingerprint is that of its tokenizer.json as we write it.
TokenizerId id_of(const Tokenizer& tokenizer);

// `bos` and `eos` as the tokenizer spells them; one that it does not have stays -1. "<s>" inside a text is text and
// does not become a separator. The tokenizer must outlive the encoder.
TextEncoder encoder_of(const Tokenizer& tokenizer, std::string_view bos, std::string_view eos);

}  // namespace blalm
