// TensorBoard event files: scalars, histograms and texts, written without TensorBoard or protobuf.
// A file is a row of records: length (u64), masked CRC-32C of it, an Event message, masked CRC-32C of that.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "apps/common/append_file.h"
#include "engine/core/tensor.h"

namespace blalm {

class EventFile {
 public:
  // Makes events.out.tfevents.SECONDS.NAME in `folder`, going on after `step`: what earlier files say of later steps
  // no longer holds, and TensorBoard forgets it. DataError when it cannot be written, then and later.
  EventFile(const std::filesystem::path& folder, std::string_view name, std::int64_t step = 0);
  ~EventFile();
  EventFile(const EventFile&) = delete;
  EventFile& operator=(const EventFile&) = delete;

  void scalar(std::string_view tag, std::int64_t step, double value);
  // 30 buckets between the smallest and the largest element; elements that are not finite are left out.
  void histogram(std::string_view tag, std::int64_t step, const Tensor& values);
  // Bytes that are no UTF-8, as a model may write, become U+FFFD.
  void text(std::string_view tag, std::int64_t step, std::string_view text);
  void flush();

 private:
  void event(std::int64_t step, const std::string& summary_value);
  void record(const std::string& payload);

  AppendFile file_;
  std::string buffer_;
};

// CRC-32C (Castagnoli) of some bytes.
std::uint32_t crc32c(std::string_view bytes);

}  // namespace blalm
