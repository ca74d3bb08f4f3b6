#include "data/text/decompressor.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/core/error.h"

namespace blalm {
namespace {

constexpr std::size_t kDecodedBytes = std::size_t{1} << 18;

}  // namespace

Decompressor::Decompressor(std::unique_ptr<ByteReader> input, std::filesystem::path path, std::string_view format,
                 std::size_t padding)
    : input_(std::move(input)), path_(std::move(path)), format_(format), padding_(padding), buffer_(kDecodedBytes) {}

std::string_view Decompressor::next() {
  std::size_t written = 0;
  while (written == 0) {
    if (between_streams_) {
      if (!find_next_stream()) return {};
      restart();
      between_streams_ = false;
    }
    has_input();  // where there is none, the decoder may still hold some text
    const std::size_t before = rest_.size();
    const Step step = decode(rest_, buffer_, written);
    between_streams_ = step == Step::end;
    if (!between_streams_ && written == 0 && rest_.size() == before) fail("a file that ends too early");
  }
  return {buffer_.data(), written};
}

bool Decompressor::has_input() {
  if (rest_.empty()) rest_ = input_->next();
  return !rest_.empty();
}

bool Decompressor::find_next_stream() {
  std::size_t zeros = 0;
  while (has_input()) {
    const std::size_t here = padding_ == 0 ? 0 : std::min(rest_.find_first_not_of('\0'), rest_.size());
    rest_.remove_prefix(here);
    zeros += here;
    if (!rest_.empty()) break;
  }
  if (padding_ > 0 && zeros % padding_ != 0)
    fail(fmt::format("{} zero bytes after its data", zeros), fmt::format("padding comes in {} bytes", padding_));
  if (rest_.empty()) return false;
  if (!may_begin(static_cast<unsigned char>(rest_.front()))) fail_with_other_bytes();
  return true;
}

void Decompressor::fail(std::string_view got, std::string_view hint) const {
  throw DataError(expected_got("read", fmt::format("a whole {} file '{}'", format_, path_.string()), got, hint));
}

void Decompressor::fail_with_damage(std::string_view what) const {
  fail(what.empty() ? "damaged data" : fmt::format("damaged data ({})", what));
}

void Decompressor::fail_with_window(std::int64_t bytes) const {
  fail(fmt::format("one with a window of {} than the {} MiB that are read here",
                   bytes == 0 ? std::string("more") : fmt::format("{} MiB, more", bytes >> 20), kMostWindowBytes >> 20),
       "decompress it before");
}

void Decompressor::fail_without_memory() const { fail("no memory for its window", "decompress it before"); }

void Decompressor::fail_with_other_bytes() const { fail("other bytes after its data"); }

}  // namespace blalm
