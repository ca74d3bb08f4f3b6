#include "apps/common/tokenizer_files.h"

#include <nlohmann/json.hpp>
#include <optional>

#include "engine/io/json_text.h"

namespace blalm {

TokenizerFiles tokenizer_files(const Tokenizer& tokenizer, const TextFormat& format) {
  nlohmann::ordered_json config = {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                   {"clean_up_tokenization_spaces", false}};
  const auto name = [&](const char* key, std::optional<std::int32_t> id) {
    if (!id || *id < 0 || *id >= tokenizer.vocab_size()) return;
    if (const std::string_view token = tokenizer.token(*id); !token.empty()) config[key] = token;
  };
  name("bos_token", format.bos);
  if (!format.eos.empty()) name("eos_token", format.eos.front());
  name("pad_token", format.pad);
  return {{"tokenizer.json", tokenizer.to_json()}, {"tokenizer_config.json", json_text(config) + "\n"}};
}

}  // namespace blalm
