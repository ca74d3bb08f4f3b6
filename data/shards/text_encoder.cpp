#include "data/shards/text_encoder.h"

namespace blalm {

TokenizerId id_of(const Tokenizer& tokenizer) { return {tokenizer.vocab_size(), fingerprint_of(tokenizer.to_json())}; }

TextEncoder encoder_of(const Tokenizer& tokenizer, std::string_view bos, std::string_view eos) {
  TextEncoder encoder;
  encoder.encode = [&tokenizer](std::string_view text) {
    return tokenizer.encode(text, {.add_special_tokens = false, .find_special_tokens = false});
  };
  encoder.id = id_of(tokenizer);
  encoder.bos = tokenizer.token_id(bos).value_or(-1);
  encoder.eos = tokenizer.token_id(eos).value_or(-1);
  return encoder;
}

}  // namespace blalm
