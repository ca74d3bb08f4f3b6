#include <fmt/format.h>
#include <zlib.h>

#include "data/text/decompressor.h"

namespace blalm {
namespace {

constexpr int kGzipWindow = 15 + 16;  // largest window, gzip header and trailer (zlib.h, inflateInit2)

class GzipReader final : public Decompressor {
 public:
  // Padding as tapes and some writers leave it: gzip itself and others read over it.
  GzipReader(std::unique_ptr<ByteReader> input, const std::filesystem::path& path)
      : Decompressor(std::move(input), path, "gzip", 1) {
    if (inflateInit2(&stream_, kGzipWindow) != Z_OK) fail_without_memory();
  }
  GzipReader(const GzipReader&) = delete;
  GzipReader& operator=(const GzipReader&) = delete;
  ~GzipReader() override { inflateEnd(&stream_); }

 protected:
  Step decode(std::string_view& input, std::span<char> output, std::size_t& written) override {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input.data()));
    stream_.avail_in = static_cast<uInt>(input.size());
    stream_.next_out = reinterpret_cast<Bytef*>(output.data());
    stream_.avail_out = static_cast<uInt>(output.size());
    const int result = inflate(&stream_, Z_NO_FLUSH);
    input.remove_prefix(input.size() - stream_.avail_in);
    written = output.size() - stream_.avail_out;
    if (result == Z_STREAM_END) return Step::end;
    if (result == Z_MEM_ERROR) fail_without_memory();
    if (result != Z_OK && result != Z_BUF_ERROR)
      fail_with_damage(stream_.msg == nullptr ? zError(result) : stream_.msg);
    return Step::more;
  }
  void restart() override { inflateReset(&stream_); }
  bool may_begin(unsigned char byte) const override { return byte == 0x1F; }

 private:
  z_stream stream_{};
};

}  // namespace

std::unique_ptr<ByteReader> decode_gzip(std::unique_ptr<ByteReader> input, const std::filesystem::path& path) {
  return std::make_unique<GzipReader>(std::move(input), path);
}

}  // namespace blalm
