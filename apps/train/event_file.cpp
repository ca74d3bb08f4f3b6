#include "apps/train/event_file.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "data/text/character_class.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

// The wire format of protocol buffers: a field is its number and type, then a varint, eight bytes, or length and bytes.
enum class Wire : std::uint64_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

void put_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
void put_key(std::string& out, std::uint64_t field, Wire wire) {
  put_varint(out, field << 3 | static_cast<std::uint64_t>(wire));
}

template <class T>
void put_raw(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}
void put_integer(std::string& out, std::uint64_t field, std::int64_t value) {
  put_key(out, field, Wire::varint);
  put_varint(out, static_cast<std::uint64_t>(value));
}
void put_double(std::string& out, std::uint64_t field, double value) {
  put_key(out, field, Wire::fixed64);
  put_raw(out, value);
}
void put_float(std::string& out, std::uint64_t field, float value) {
  put_key(out, field, Wire::fixed32);
  put_raw(out, value);
}
void put_bytes(std::string& out, std::uint64_t field, std::string_view bytes) {
  put_key(out, field, Wire::bytes);
  put_varint(out, bytes.size());
  out += bytes;
}
void put_doubles(std::string& out, std::uint64_t field, const std::vector<double>& values) {
  put_bytes(out, field, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)});
}

constexpr std::array<std::uint32_t, 256> kCrcTable = [] {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ ((c & 1) != 0 ? 0x82f63b78U : 0);
    table[i] = c;
  }
  return table;
}();

// TFRecord stores checksums rotated and shifted, so that a checksum of data with checksums in it stays meaningful.
std::uint32_t masked(std::uint32_t crc) { return ((crc >> 15) | (crc << 17)) + 0xa282ead8U; }

double now() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  std::uint32_t c = ~0U;
  for (const char b : bytes) c = kCrcTable[(c ^ static_cast<std::uint8_t>(b)) & 0xff] ^ (c >> 8);
  return ~c;
}

EventFile::EventFile(const std::filesystem::path& folder, std::string_view name, std::int64_t step)
    : file_(folder / fmt::format("events.out.tfevents.{:.0f}.{}", now(), name)) {
  std::string event;
  put_double(event, 1, now());           // Event.wall_time
  put_bytes(event, 3, "brain.Event:2");  // Event.file_version
  record(event);
  if (step > 0) {
    std::string session, restart;
    put_integer(session, 1, 1);  // SessionLog.status = START
    put_double(restart, 1, now());
    put_integer(restart, 2, step + 1);  // Event.step
    put_bytes(restart, 7, session);     // Event.session_log
    record(restart);
  }
  flush();
}

EventFile::~EventFile() {
  try {
    flush();
  } catch (const Error&) {  // the numbers are in metrics.csv as well
  }
}

void EventFile::scalar(std::string_view tag, std::int64_t step, double value) {
  std::string v;
  put_bytes(v, 1, tag);                        // Value.tag
  put_float(v, 2, static_cast<float>(value));  // Value.simple_value
  event(step, v);
}

void EventFile::histogram(std::string_view tag, std::int64_t step, const Tensor& values) {
  constexpr std::size_t kBuckets = 30;
  double low = std::numeric_limits<double>::infinity(), high = -low, sum = 0, squares = 0, count = 0;
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const double x = values.at(i);
    if (!std::isfinite(x)) continue;
    low = std::min(low, x);
    high = std::max(high, x);
    sum += x;
    squares += x * x;
    count += 1;
  }
  if (count == 0) return;
  const double width = high > low ? (high - low) / kBuckets : 1;
  std::vector<double> limits(kBuckets), buckets(kBuckets);
  for (std::size_t b = 0; b < kBuckets; ++b)
    limits[b] = b + 1 == kBuckets && high > low ? high : low + width * static_cast<double>(b + 1);
  for (std::int64_t i = 0; i < values.numel(); ++i) {
    const double x = values.at(i);
    if (std::isfinite(x)) buckets[std::min(kBuckets - 1, static_cast<std::size_t>((x - low) / width))] += 1;
  }
  std::string h;
  put_double(h, 1, low);  // HistogramProto.min … bucket
  put_double(h, 2, high);
  put_double(h, 3, count);
  put_double(h, 4, sum);
  put_double(h, 5, squares);
  put_doubles(h, 6, limits);
  put_doubles(h, 7, buckets);
  std::string v;
  put_bytes(v, 1, tag);
  put_bytes(v, 5, h);  // Value.histo
  event(step, v);
}

void EventFile::text(std::string_view tag, std::int64_t step, std::string_view text) {
  std::string plugin, metadata, tensor, v;
  put_bytes(plugin, 1, "text");                  // PluginData.plugin_name
  put_bytes(metadata, 1, plugin);                // SummaryMetadata.plugin_data
  put_integer(tensor, 1, 7);                     // TensorProto.dtype = DT_STRING
  put_bytes(tensor, 2, "");                      // tensor_shape: a scalar
  put_bytes(tensor, 8, utf8::made_valid(text));  // string_val, which TensorBoard decodes strictly
  put_bytes(v, 1, tag);
  put_bytes(v, 8, tensor);    // Value.tensor
  put_bytes(v, 9, metadata);  // Value.metadata
  event(step, v);
}

void EventFile::event(std::int64_t step, const std::string& summary_value) {
  std::string summary, e;
  put_bytes(summary, 1, summary_value);  // Summary.value
  put_double(e, 1, now());
  put_integer(e, 2, step);   // Event.step
  put_bytes(e, 5, summary);  // Event.summary
  record(e);
  if (buffer_.size() > 1 << 16) flush();
}

void EventFile::record(const std::string& payload) {
  std::string length;
  put_raw(length, static_cast<std::uint64_t>(payload.size()));
  buffer_ += length;
  put_raw(buffer_, masked(crc32c(length)));
  buffer_ += payload;
  put_raw(buffer_, masked(crc32c(payload)));
}

void EventFile::flush() {
  const std::string bytes = std::exchange(buffer_, {});
  file_.append(bytes);
}

}  // namespace blalm
