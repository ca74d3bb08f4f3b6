#include <lzma.h>

#include "data/text/decompressor.h"

namespace blalm {
namespace {

constexpr std::uint64_t kMostDecoderBytes = std::uint64_t{1} << 24;  // beside the window

class XzReader final : public Decompressor {
 public:
  XzReader(std::unique_ptr<ByteReader> input, const std::filesystem::path& path)
      : Decompressor(std::move(input), path, "xz", 4) {
    restart();
  }
  XzReader(const XzReader&) = delete;
  XzReader& operator=(const XzReader&) = delete;
  ~XzReader() override { lzma_end(&stream_); }

 protected:
  Step decode(std::string_view& input, std::span<char> output, std::size_t& written) override {
    stream_.next_in = reinterpret_cast<const std::uint8_t*>(input.data());
    stream_.avail_in = input.size();
    stream_.next_out = reinterpret_cast<std::uint8_t*>(output.data());
    stream_.avail_out = output.size();
    const lzma_ret result = lzma_code(&stream_, LZMA_RUN);
    input.remove_prefix(input.size() - stream_.avail_in);
    written = output.size() - stream_.avail_out;
    switch (result) {
      case LZMA_OK:
      case LZMA_BUF_ERROR: return Step::more;
      case LZMA_STREAM_END: return Step::end;
      case LZMA_FORMAT_ERROR: fail_with_other_bytes();
      case LZMA_MEMLIMIT_ERROR: fail_with_window(static_cast<std::int64_t>(lzma_memusage(&stream_)));
      case LZMA_MEM_ERROR: fail_without_memory();
      case LZMA_UNSUPPORTED_CHECK: fail("a kind of checksum that is not known here", "decompress it before");
      case LZMA_OPTIONS_ERROR: fail("filters or flags that are not known here", "decompress it before");
      default: fail_with_damage("");
    }
  }
  void restart() override {
    if (lzma_stream_decoder(&stream_, kMostWindowBytes + kMostDecoderBytes, LZMA_TELL_UNSUPPORTED_CHECK) != LZMA_OK)
      fail_without_memory();
  }
  bool may_begin(unsigned char byte) const override { return byte == 0xFD; }

 private:
  lzma_stream stream_ = LZMA_STREAM_INIT;
};

}  // namespace

std::unique_ptr<ByteReader> decode_xz(std::unique_ptr<ByteReader> input, const std::filesystem::path& path) {
  return std::make_unique<XzReader>(std::move(input), path);
}

}  // namespace blalm
