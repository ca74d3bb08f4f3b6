#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>

#include <exception>
#include <utility>

#include "blalm/core/error.h"
#include "blalm/data/byte_decoders.h"

namespace blalm {
namespace {

class ArchiveReader final : public ByteReader {
 public:
  ArchiveReader(std::unique_ptr<ByteReader> input, const std::filesystem::path& path)
      : input_(std::move(input)), path_(path), archive_(archive_read_new()) {
    if (archive_ == nullptr) throw std::bad_alloc();
    archive_read_support_filter_xz(archive_.get());
    archive_read_support_filter_zstd(archive_.get());
    archive_read_support_format_raw(archive_.get());    // not an archive of files, but one stream
    archive_read_support_format_empty(archive_.get());  // which may decompress to nothing
    check(archive_read_open(archive_.get(), this, nullptr, &ArchiveReader::read, nullptr));
    archive_entry* entry = nullptr;
    const int result = archive_read_next_header(archive_.get(), &entry);
    ended_ = result == ARCHIVE_EOF;
    if (!ended_) check(result);
  }

  std::string_view next() override {
    while (!ended_) {
      const void* data = nullptr;
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int result = archive_read_data_block(archive_.get(), &data, &size, &offset);
      ended_ = result == ARCHIVE_EOF;
      if (!ended_) check(result);
      if (size > 0) return {static_cast<const char*>(data), size};
    }
    return {};
  }

 private:
  static la_ssize_t read(archive* a, void* self, const void** data) {
    auto& reader = *static_cast<ArchiveReader*>(self);
    try {
      const std::string_view piece = reader.input_->next();
      *data = piece.data();
      return static_cast<la_ssize_t>(piece.size());
    } catch (...) {  // may not pass through the library
      reader.error_ = std::current_exception();
      archive_set_error(a, ARCHIVE_FATAL, "unreadable");
      return -1;
    }
  }

  void check(int result) {
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    if (result == ARCHIVE_OK) return;
    const char* reason = archive_error_string(archive_.get());
    throw DataError(expected_got(
        "read", fmt::format("a whole compressed file '{}'", path_.string()),
        fmt::format("damaged or truncated data{}{}", reason == nullptr ? "" : ": ", reason == nullptr ? "" : reason)));
  }

  struct Free {
    void operator()(archive* a) const { archive_read_free(a); }
  };

  std::unique_ptr<ByteReader> input_;
  std::filesystem::path path_;
  std::exception_ptr error_;
  std::unique_ptr<archive, Free> archive_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<ByteReader> decode_archive(std::unique_ptr<ByteReader> input, const std::filesystem::path& path) {
  return std::make_unique<ArchiveReader>(std::move(input), path);
}

}  // namespace blalm
