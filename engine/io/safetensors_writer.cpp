#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "engine/core/error.h"
#include "engine/io/atomic_file.h"
#include "engine/io/safetensors.h"
#include "engine/io/safetensors_dtype.h"
#include "engine/io/safetensors_header.h"

namespace blalm {
namespace {

using safetensors::fail;
using safetensors::kMaxHeaderBytes;
using safetensors::kMetadataKey;
using safetensors::printable;
using safetensors::stored_name;

constexpr std::size_t kHeaderAlignment = 8;  // the data begins at a multiple of this

[[noreturn]] void fail_to_add(std::string_view name, std::string_view expected, std::string_view got) {
  throw ShapeError(expected_got(fmt::format("safetensors '{}'", printable(name)), expected, got));
}

}  // namespace

void SafetensorsWriter::add(std::string name, const Tensor& tensor, DType stored_as) {
  if (!tensor.defined()) fail_to_add(name, "a tensor", "an undefined one");
  const bool storable = !stored_name(tensor.dtype()).empty() && !stored_name(stored_as).empty();
  if (!storable || is_floating(tensor.dtype()) != is_floating(stored_as))
    fail_to_add(name, is_floating(tensor.dtype()) ? "to be stored as f32, bf16 or f64" : "to be stored as i32",
                fmt::format("{} as {}", tensor.str(), name_of(stored_as)));
  if (name == kMetadataKey) fail("writer", "another name", name, "reserved by the format");
  const auto [entry, is_new] = entries_.try_emplace(std::move(name), Entry{tensor, stored_as});
  if (!is_new) fail("writer", "each name once", fmt::format("'{}' twice", printable(entry->first)));
}

void SafetensorsWriter::metadata(std::string key, std::string value) {
  const auto [entry, is_new] = metadata_.try_emplace(std::move(key), std::move(value));
  if (!is_new) fail("writer", "each metadata key once", fmt::format("'{}' twice", printable(entry->first)));
}

void SafetensorsWriter::write(const std::filesystem::path& path) const {
  // Wide elements first: each tensor then begins at a multiple of its element size, and readers may use it in place.
  std::vector<const std::pair<const std::string, Entry>*> order;
  order.reserve(entries_.size());
  for (const auto& entry : entries_) order.push_back(&entry);
  std::ranges::stable_sort(order, std::greater{}, [](const auto* entry) { return size_of(entry->second.stored_as); });

  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata_.empty()) header[std::string(kMetadataKey)] = metadata_;
  std::int64_t end = 0;
  for (const auto* item : order) {
    const auto& [name, entry] = *item;
    const std::int64_t begin = end;
    end += entry.tensor.numel() * size_of(entry.stored_as);
    const auto dims = entry.tensor.shape().dims();
    header[name] = {{"dtype", stored_name(entry.stored_as)},
                    {"shape", std::vector<std::int64_t>(dims.begin(), dims.end())},
                    {"data_offsets", {begin, end}}};
  }
  std::string json;
  try {
    json = header.dump();
  } catch (const nlohmann::json::type_error&) {
    fail(path.string(), "names and metadata in UTF-8", "other bytes");
  }
  json.append((kHeaderAlignment - json.size() % kHeaderAlignment) % kHeaderAlignment, ' ');
  if (std::ssize(json) > kMaxHeaderBytes)
    fail(path.string(), fmt::format("a header of at most {} bytes", kMaxHeaderBytes), fmt::format("{}", json.size()));

  AtomicFile file(path);
  const std::uint64_t length = json.size();
  file.append(std::as_bytes(std::span(&length, 1)));
  file.append(json);
  for (const auto* item : order) {
    const Tensor stored = item->second.tensor.to(item->second.stored_as);  // one converted copy at a time
    file.append({static_cast<const std::byte*>(stored.raw()), static_cast<std::size_t>(stored.bytes())});
  }
  file.commit();
}

}  // namespace blalm
