// What the decompressors behind open_bytes (byte_reader.h) have in common: a file is one compressed stream or several,
// one after another, with padding between and after them where the format has it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "data/text/byte_reader.h"

namespace blalm {

// The largest distance back into the text that a compressed file may ask to be remembered: that of `zstd --long=31`.
// The memory for it is taken as text comes, not at once.
inline constexpr int kMostWindowLog = 31;
inline constexpr std::int64_t kMostWindowBytes = std::int64_t{1} << kMostWindowLog;

class Decompressor : public ByteReader {
 public:
  std::string_view next() final;
  std::int64_t file_bytes() const final { return input_->file_bytes(); }

 protected:
  // `format`: its name, for messages. Between streams, and after the last, there may be zero bytes in multiples of
  // `padding`; none when it is 0.
  Decompressor(std::unique_ptr<ByteReader> input, std::filesystem::path path, std::string_view format, std::size_t padding);

  enum class Step { more, end };  // of the stream
  // Takes bytes away from `input` and puts text into `output`, `written` bytes of it. Without input it puts out what it
  // still holds. Fails for data that is damaged.
  virtual Step decode(std::string_view& input, std::span<char> output, std::size_t& written) = 0;
  // For the next stream.
  virtual void restart() = 0;
  // Whether a stream may begin with this byte.
  virtual bool may_begin(unsigned char byte) const = 0;

  [[noreturn]] void fail(std::string_view got, std::string_view hint = {}) const;
  [[noreturn]] void fail_with_damage(std::string_view what) const;
  [[noreturn]] void fail_with_window(std::int64_t bytes) const;  // 0: of a size that is not known
  [[noreturn]] void fail_without_memory() const;
  [[noreturn]] void fail_with_other_bytes() const;

 private:
  bool has_input();
  // Whether another stream begins; false at the end of the file.
  bool find_next_stream();

  std::unique_ptr<ByteReader> input_;
  std::filesystem::path path_;
  std::string_view format_;
  std::size_t padding_;
  std::string_view rest_;  // of the compressed piece
  std::vector<char> buffer_;
  bool between_streams_ = false;
};

// Each reads compressed bytes from `input`, which begins with its format; `path` is for messages.
std::unique_ptr<ByteReader> decode_gzip(std::unique_ptr<ByteReader> input, const std::filesystem::path& path);
std::unique_ptr<ByteReader> decode_xz(std::unique_ptr<ByteReader> input, const std::filesystem::path& path);
std::unique_ptr<ByteReader> decode_zstd(std::unique_ptr<ByteReader> input, const std::filesystem::path& path);

}  // namespace blalm
