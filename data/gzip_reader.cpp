#include <fmt/format.h>
#include <zlib.h>

#include <vector>

#include "blalm/core/error.h"
#include "blalm/data/byte_decoders.h"

namespace blalm {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 18;
constexpr int kGzipWindow = 15 + 16;  // largest window, gzip header and trailer (zlib.h, inflateInit2)

class GzipReader final : public ByteReader {
 public:
  GzipReader(std::unique_ptr<ByteReader> input, const std::filesystem::path& path)
      : input_(std::move(input)), path_(path), buffer_(kPieceBytes) {
    if (inflateInit2(&stream_, kGzipWindow) != Z_OK) throw std::bad_alloc();
  }
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;
  ~GzipReader() override { inflateEnd(&stream_); }

  std::string_view next() override {
    stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
    stream_.avail_out = static_cast<uInt>(buffer_.size());
    while (stream_.avail_out == buffer_.size() && (!between_members_ || has_input())) {
      between_members_ = false;
      if (!has_input()) fail("a file that ends too early");
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        // A gzip file may be several, one after another.
        between_members_ = true;
        inflateReset(&stream_);
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        fail(fmt::format("damaged data ({})", stream_.msg == nullptr ? zError(result) : stream_.msg));
      }
    }
    return {buffer_.data(), buffer_.size() - stream_.avail_out};
  }

 private:
  bool has_input() {
    if (stream_.avail_in == 0) {
      const std::string_view piece = input_->next();
      stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
      stream_.avail_in = static_cast<uInt>(piece.size());
    }
    return stream_.avail_in > 0;
  }
  [[noreturn]] void fail(std::string_view got) const {
    throw DataError(expected_got("read", fmt::format("a whole gzip file '{}'", path_.string()), got));
  }

  std::unique_ptr<ByteReader> input_;
  std::filesystem::path path_;
  std::vector<char> buffer_;
  z_stream stream_{};
  bool between_members_ = false;  // at the end of one: the file may end here
};

}  // namespace

std::unique_ptr<ByteReader> decode_gzip(std::unique_ptr<ByteReader> input, const std::filesystem::path& path) {
  return std::make_unique<GzipReader>(std::move(input), path);
}

}  // namespace blalm
