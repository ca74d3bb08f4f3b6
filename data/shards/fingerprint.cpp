#include "data/shards/fingerprint.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace blalm {

std::string Fingerprint::str() const { return fmt::format("{:016x}{:016x}", high, low); }

Fingerprint fingerprint_of(std::string_view content) {
  const XXH128_hash_t hash = XXH3_128bits(content.data(), content.size());
  return {hash.high64, hash.low64};
}

}  // namespace blalm
