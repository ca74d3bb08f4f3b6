#include "engine/io/safetensors_header.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/io/json_text.h"
#include "engine/io/safetensors_dtype.h"

namespace blalm::safetensors {
namespace {

constexpr std::size_t kMaxQuoted = 80;  // bytes of a name from the file that a message repeats

std::string header_of(std::string_view file) { return fmt::format("{}: header", file); }

// Receives the header as the parser reads it, token by token, and accepts only what may stand in each place. No JSON
// tree is built: the first value that does not belong ends the parse, however deep the rest would nest.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderReader(std::string_view file, std::size_t header_bytes, std::int64_t data_bytes)
      : file_(file), header_bytes_(header_bytes), data_bytes_(data_bytes) {}

  Header take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    switch (place_) {
      case Place::kOutside: place_ = Place::kTop; break;
      case Place::kTop:
        place_ = name_ == kMetadataKey ? Place::kMetadata : Place::kTensor;
        type_ = nullptr;
        shape_.reset();
        offsets_.reset();
        break;
      default: unexpected("an object");
    }
    field_.clear();
    return true;
  }

  bool key(std::string& key) override {
    if (place_ == Place::kTop) {
      name_ = key;
      const bool is_metadata = key == kMetadataKey;
      if (is_metadata ? std::exchange(metadata_seen_, true) : header_.tensors.contains(key))
        fail(header_of(file_), "each name once", fmt::format("'{}' twice", printable(key)));
      return true;
    }
    const bool known = key == "dtype" || key == "shape" || key == "data_offsets";
    if (place_ == Place::kTensor && !known)
      fail(subject(), "only the fields dtype, shape and data_offsets", fmt::format("'{}'", printable(key)));
    const bool seen = place_ == Place::kMetadata ? header_.metadata.contains(key)
                      : key == "dtype"           ? type_ != nullptr
                      : key == "shape"           ? shape_.has_value()
                                                 : offsets_.has_value();
    if (seen) fail(subject(), "each field once", fmt::format("'{}' twice", printable(key)));
    field_ = key;
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::kMetadata) {
      header_.metadata.emplace(field_, std::move(value));
    } else if (place_ == Place::kTensor && field_ == "dtype") {
      type_ = find_stored_type(value);
      if (type_ == nullptr) fail(subject(), "a known dtype", fmt::format("'{}'", printable(value)));
    } else {
      unexpected(fmt::format("the string '{}'", printable(value)));
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ == Place::kTensor && field_ == "shape") {
      shape_.emplace();
      place_ = Place::kShape;
    } else if (place_ == Place::kTensor && field_ == "data_offsets") {
      offsets_.emplace();
      place_ = Place::kOffsets;
    } else {
      unexpected("an array");
    }
    return true;
  }

  bool number_unsigned(std::uint64_t value) override {
    const bool fits = std::in_range<std::int64_t>(value);
    if (!fits || (place_ != Place::kShape && place_ != Place::kOffsets)) unexpected(fmt::format("{}", value));
    std::vector<std::int64_t>& list = place_ == Place::kShape ? *shape_ : *offsets_;
    if (place_ == Place::kShape && list.size() == kMaxRank)
      fail(subject(), fmt::format("a shape of at most {} axes", kMaxRank), "more");
    if (place_ == Place::kOffsets && list.size() == 2) fail(subject(), "data_offsets as [begin, end]", "more than two");
    list.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool end_array() override {
    place_ = Place::kTensor;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::kTensor) finish_tensor();
    place_ = place_ == Place::kTop ? Place::kOutside : Place::kTop;
    return true;
  }

  // The parser calls this for numbers written with a minus sign; -0 is 0.
  bool number_integer(std::int64_t value) override {
    if (value < 0) unexpected(fmt::format("{}", value));
    return number_unsigned(static_cast<std::uint64_t>(value));
  }
  bool number_float(double, const std::string& text) override { unexpected(printable(text)); }
  bool null() override { unexpected("null"); }
  bool boolean(bool value) override { unexpected(value ? "true" : "false"); }
  bool binary(binary_t&) override { unexpected("binary"); }

  bool parse_error(std::size_t position, const std::string& token, const nlohmann::json::exception& error) override {
    fail(header_of(file_), "valid JSON",
         fmt::format("an error at byte {}: {}", position, json_fault(token, position > header_bytes_, error.id)));
  }

 private:
  enum class Place { kOutside, kTop, kTensor, kShape, kOffsets, kMetadata };

  std::string subject() const {
    if (place_ == Place::kMetadata) return fmt::format("{}: {} '{}'", file_, kMetadataKey, printable(field_));
    if (place_ == Place::kTop && name_ == kMetadataKey) return fmt::format("{}: {}", file_, kMetadataKey);
    return subject_of(file_, name_);
  }

  [[noreturn]] void unexpected(std::string_view got) const {
    const std::string_view wanted = place_ == Place::kMetadata  ? "a string"
                                    : place_ == Place::kShape   ? "shape of integers in [0, 2^63)"
                                    : place_ == Place::kOffsets ? "data_offsets of integers in [0, 2^63)"
                                    : place_ == Place::kTop     ? "an object"
                                    : field_ == "dtype"         ? "dtype as a string"
                                    : field_ == "shape"         ? "shape as an array"
                                                                : "data_offsets as [begin, end]";
    fail(subject(), wanted, got);
  }

  // All fields of a tensor are read: do they agree with each other and with the size of the data?
  void finish_tensor() {
    const char* missing = type_ == nullptr ? "dtype" : !shape_ ? "shape" : !offsets_ ? "data_offsets" : nullptr;
    if (missing != nullptr) fail(subject(), fmt::format("field '{}'", missing), "none");

    // Axes of size 0 are left out of the product, so that strides fit as well as the number of elements.
    std::int64_t product = type_->bytes;
    for (std::int64_t size : *shape_)
      if (__builtin_mul_overflow(product, std::max<std::int64_t>(size, 1), &product))
        fail(subject(), "a shape of less than 2^63 bytes", fmt::format("[{}]", fmt::join(*shape_, ", ")));
    const Shape shape{std::span<const std::int64_t>(*shape_)};

    const std::string offsets = fmt::format("[{}]", fmt::join(*offsets_, ", "));
    if (offsets_->size() != 2) fail(subject(), "data_offsets as [begin, end]", offsets);
    const std::int64_t begin = offsets_->front(), end = offsets_->back();
    if (begin > end) fail(subject(), "data_offsets with begin <= end", offsets);
    if (end > data_bytes_)
      fail(subject(), fmt::format("data_offsets inside {} bytes", data_bytes_), offsets, "is the file cut short?");
    if (end - begin != shape.numel() * type_->bytes)
      fail(subject(), fmt::format("{} bytes for {}{}", shape.numel() * type_->bytes, type_->name, shape.str()),
           fmt::format("{} in data_offsets {}", end - begin, offsets));
    header_.tensors.emplace(name_, SafetensorsInfo{type_->name, shape, begin, end});
  }

  std::string_view file_;
  std::size_t header_bytes_;
  std::int64_t data_bytes_;
  Header header_;
  Place place_ = Place::kOutside;
  bool metadata_seen_ = false;
  std::string name_;   // last key of the top object
  std::string field_;  // last key inside it
  const StoredType* type_ = nullptr;
  std::optional<std::vector<std::int64_t>> shape_, offsets_;
};

// In order of their offsets, each tensor must begin where the one before it ends, and the last end with the data.
void check_layout(std::string_view file, const Header& header, std::int64_t data_bytes) {
  std::vector<const std::pair<const std::string, SafetensorsInfo>*> order;
  order.reserve(header.tensors.size());
  for (const auto& entry : header.tensors) order.push_back(&entry);
  std::ranges::stable_sort(order, {},
                           [](const auto* entry) { return std::pair(entry->second.begin, entry->second.end); });

  std::int64_t covered = 0;
  for (const auto* entry : order) {
    const auto& [name, info] = *entry;
    if (info.begin != covered)
      fail(subject_of(file, name), fmt::format("data_offsets that begin at {}", covered),
           fmt::format("[{}, {}]", info.begin, info.end),
           info.begin < covered ? "tensors must not overlap" : "the data must have no holes");
    covered = info.end;
  }
  if (covered != data_bytes)
    fail(fmt::format("{}: data", file), fmt::format("{} bytes, as the tensors take", covered),
         fmt::format("{}", data_bytes));
}

}  // namespace

Header parse_header(std::string_view file, std::span<const std::byte> bytes) {
  const std::string subject = header_of(file);
  if (std::ssize(bytes) < kLengthBytes)
    fail(subject, fmt::format("a length of {} bytes", kLengthBytes), fmt::format("a file of {} bytes", bytes.size()));
  std::uint64_t length = 0;
  static_assert(std::endian::native == std::endian::little && sizeof length == kLengthBytes);
  std::memcpy(&length, bytes.data(), sizeof length);
  const std::span<const std::byte> rest = bytes.subspan(sizeof length);
  if (length > rest.size())
    fail(subject, fmt::format("a length of at most {} bytes, which follow", rest.size()), fmt::format("{}", length),
         "not a safetensors file, or cut short");
  if (length > static_cast<std::uint64_t>(kMaxHeaderBytes))
    fail(subject, fmt::format("at most {} bytes", kMaxHeaderBytes), fmt::format("{}", length));

  const std::string_view json{reinterpret_cast<const char*>(rest.data()), static_cast<std::size_t>(length)};
  if (!json.starts_with('{'))
    fail(subject, "'{' as its first byte",
         json.empty() ? "no bytes" : fmt::format("'{}'", printable(json.substr(0, 1))));
  // The parser takes other white space for padding, and a zero byte for the end of its input.
  if (const auto last = json.find_last_not_of(' '); json[last] != '}')
    fail(subject, "'}' and then only spaces as its last bytes", fmt::format("'{}'", printable(json.substr(last, 1))));
  if (const auto zero = json.find('\0'); zero != json.npos)
    fail(subject, "valid JSON", fmt::format("a zero byte at byte {}", zero));

  if (const auto valid = utf8::valid_prefix(json); valid < json.size())
    fail(subject, "valid JSON",
         fmt::format("an error at byte {}: '{}' is not UTF-8", valid + 1, printable(json.substr(valid, 1))));

  const auto data_bytes = static_cast<std::int64_t>(rest.size() - json.size());
  HeaderReader reader(file, json.size(), data_bytes);
  nlohmann::json::sax_parse(json, &reader);
  Header header = reader.take();
  header.data_begin = sizeof length + json.size();
  check_layout(file, header, data_bytes);
  return header;
}

void fail(std::string_view subject, std::string_view expected, std::string_view got, std::string_view hint) {
  // As expected_got() writes it, with the file and the tensor in front.
  throw FormatError(fmt::format("[safetensors] {}: expected {}, got {}{}", subject, expected, got,
                                hint.empty() ? "" : fmt::format(" ({})", hint)));
}

std::string subject_of(std::string_view file, std::string_view name) {
  return fmt::format("{}: tensor '{}'", file, printable(name));
}

std::string printable(std::string_view text) { return utf8::beginning(text, kMaxQuoted); }

}  // namespace blalm::safetensors
