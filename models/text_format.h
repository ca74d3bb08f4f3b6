// How texts begin and end for a model: the part of config.json that tells what stood around each text in training.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace blalm {

// Ids of tokens. The keys of config.json are those of other libraries: bos_token_id, eos_token_id and pad_token_id,
// each an id or null, eos_token_id also a list of ids.
struct TextFormat {
  bool declared = false;            // config.json has bos_token_id or eos_token_id; older folders have neither
  std::optional<std::int32_t> bos;  // before each text
  std::vector<std::int32_t> eos;    // after each text: one of these
  std::optional<std::int32_t> pad;  // in no text at all

  bool operator==(const TextFormat&) const = default;
};

}  // namespace blalm
