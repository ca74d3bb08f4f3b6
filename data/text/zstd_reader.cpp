#include <fmt/format.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <string>

#include "data/text/decompressor.h"

namespace blalm {
namespace {

class ZstdReader final : public Decompressor {
 public:
  ZstdReader(std::unique_ptr<ByteReader> input, const std::filesystem::path& path)
      : Decompressor(std::move(input), path, "Zstandard", 0), context_(ZSTD_createDCtx()) {
    if (context_ == nullptr) fail_without_memory();
    check(ZSTD_DCtx_setParameter(context_.get(), ZSTD_d_windowLogMax, kMostWindowLog));
  }

 protected:
  // Skippable frames come and go here as streams without text.
  // The library decodes a frame that it has whole in another way than one that comes in pieces, and what it refuses
  // differs. The header is therefore given byte by byte, which makes every frame one that comes in pieces, and the size
  // that it declares is compared here.
  Step decode(std::string_view& input, std::span<char> output, std::size_t& written) override {
    const bool in_header = header_.size() < kMostHeader;
    ZSTD_inBuffer in{input.data(), in_header ? std::min<std::size_t>(input.size(), 1) : input.size(), 0};
    ZSTD_outBuffer out{output.data(), output.size(), 0};
    const std::size_t left = check(ZSTD_decompressStream(context_.get(), &out, &in));
    if (in_header) header_.append(input.data(), in.pos);
    input.remove_prefix(in.pos);
    written = out.pos;
    text_bytes_ += written;
    if (left != 0) return Step::more;
    const auto declared = ZSTD_getFrameContentSize(header_.data(), header_.size());
    if (declared < ZSTD_CONTENTSIZE_ERROR && declared != text_bytes_)
      fail_with_damage(fmt::format("{} bytes of text where it declares {}", text_bytes_, declared));
    return Step::end;
  }
  // The library goes on with the next frame by itself.
  void restart() override {
    header_.clear();
    text_bytes_ = 0;
  }
  bool may_begin(unsigned char byte) const override { return byte == 0x28 || (byte >= 0x50 && byte <= 0x5F); }

 private:
  std::size_t check(std::size_t result) const {
    if (!ZSTD_isError(result)) return result;
    switch (ZSTD_getErrorCode(result)) {
      case ZSTD_error_prefix_unknown: fail_with_other_bytes();
      case ZSTD_error_frameParameter_windowTooLarge: fail_with_window(0);
      case ZSTD_error_memory_allocation: fail_without_memory();
      case ZSTD_error_dictionary_wrong:
        fail("one that was compressed with a dictionary", "decompress it before, with zstd -d -D DICTIONARY");
      case ZSTD_error_version_unsupported:
      case ZSTD_error_frameParameter_unsupported: fail("flags that are not known here", "decompress it before");
      default: fail_with_damage(ZSTD_getErrorName(result));
    }
  }

  struct Free {
    void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
  };
  static constexpr std::size_t kMostHeader = 18;  // bytes that the longest header of a frame has

  std::unique_ptr<ZSTD_DCtx, Free> context_;
  std::string header_;  // the first bytes of the frame
  std::uint64_t text_bytes_ = 0;  // of the frame
};

}  // namespace

std::unique_ptr<ByteReader> decode_zstd(std::unique_ptr<ByteReader> input, const std::filesystem::path& path) {
  return std::make_unique<ZstdReader>(std::move(input), path);
}

}  // namespace blalm
