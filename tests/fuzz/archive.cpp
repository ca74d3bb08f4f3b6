// Compressed text: gzip, xz and Zstandard give the same bytes, or are refused, in whatever pieces they come.
#include <memory>
#include <optional>

#include "data/text/byte_reader.h"
#include "data/text/decompressor.h"
#include "tests/fuzz/fuzz.h"

using namespace blalm;

namespace {

constexpr std::size_t kMostBytes = std::size_t{1} << 16;  // of what comes out: a small file may hold gigabytes
constexpr std::size_t kMostPiece = 9;                     // bytes of what goes in

class Pieces final : public ByteReader {
 public:
  Pieces(std::string_view bytes, std::size_t size) : all_(bytes), rest_(bytes), size_(size) {}

  std::string_view next() override {
    const std::string_view piece = rest_.substr(0, size_);
    rest_.remove_prefix(piece.size());
    return piece;
  }
  std::int64_t file_bytes() const override { return std::ssize(all_) - std::ssize(rest_); }

 private:
  std::string_view all_, rest_;
  std::size_t size_;
};

// What a reader gives, up to kMostBytes or a little more; nothing when it refuses the input.
template <class Open>
std::optional<std::string> read_all(std::string_view input, Open&& open) {
  std::string bytes;
  const bool taken = fuzz::taken(input, [&] {
    const std::unique_ptr<ByteReader> reader = open();
    std::string_view piece;
    while (bytes.size() < kMostBytes && !(piece = reader->next()).empty()) bytes += piece;
  });
  return taken ? std::optional(std::move(bytes)) : std::nullopt;
}

bool broken_off(const std::optional<std::string>& bytes) { return bytes && bytes->size() >= kMostBytes; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  const std::filesystem::path path = fuzz::file_of(input, "input");
  const std::optional<std::string> whole = read_all(input, [&] { return open_bytes(path); });
  if (whole == input) return 0;  // no archive, but plain bytes
  const auto decode = input.starts_with("\x1F\x8B") ? decode_gzip : input.starts_with("\xFD") ? decode_xz : decode_zstd;
  const std::optional<std::string> cut =
      read_all(input, [&] { return decode(std::make_unique<Pieces>(input, 1 + size % kMostPiece), path); });
  const bool comparable = !broken_off(whole) && !broken_off(cut);  // where they break off depends on the pieces
  fuzz::require(!comparable || cut == whole, "pieces of any size give the same");
  return 0;
}
