#include "data/text/same_text.h"

#include <xxhash.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <new>
#include <system_error>
#include <utility>

namespace blalm {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBeginning = std::size_t{64} << 10;
constexpr std::size_t kWhole = std::numeric_limits<std::size_t>::max();

using Hash = std::pair<std::uint64_t, std::uint64_t>;

// Of the first `most` bytes; none of a file without any.
struct HashOfText {
  Hash hash;
  bool empty = true;
};

fs::path place_of(const fs::path& file) {
  std::error_code error;
  const fs::path place = fs::weakly_canonical(file, error);
  return error ? file : place;
}

HashOfText hash_of(const fs::path& file, std::size_t most, const ReadPulse& pulse) {
  const std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(), &XXH3_freeState);
  if (state == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(state.get());
  HashOfText result;
  std::int64_t text_bytes = 0;
  const std::unique_ptr<ByteReader> bytes = open_bytes(file);
  for (std::size_t left = most; left > 0;) {
    const std::string_view piece = bytes->next().substr(0, left);
    if (piece.empty()) break;
    text_bytes += static_cast<std::int64_t>(piece.size());
    if (pulse) pulse({file, text_bytes, bytes->file_bytes()});
    XXH3_128bits_update(state.get(), piece.data(), piece.size());
    result.empty = false;
    left -= piece.size();
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  result.hash = {hash.high64, hash.low64};
  return result;
}

}  // namespace

std::vector<std::size_t> first_of_same_text(const std::vector<fs::path>& files, const ReadPulse& pulse) {
  std::vector<std::size_t> first(files.size());
  std::map<fs::path, std::size_t> places;
  std::map<Hash, std::vector<std::size_t>> alike;  // in their beginnings
  for (std::size_t i = 0; i < files.size(); ++i) {
    first[i] = places.emplace(place_of(files[i]), i).first->second;
    if (first[i] != i) continue;
    const HashOfText beginning = hash_of(files[i], kBeginning, pulse);
    if (!beginning.empty) alike[beginning.hash].push_back(i);
  }
  for (const auto& [beginning, group] : alike) {
    if (group.size() == 1) continue;
    std::map<Hash, std::size_t> wholes;
    for (const std::size_t i : group) first[i] = wholes.emplace(hash_of(files[i], kWhole, pulse).hash, i).first->second;
  }
  // What is at the place of a file that is the text of another.
  for (std::size_t& i : first) i = first[i];
  return first;
}

}  // namespace blalm
