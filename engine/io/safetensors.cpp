#include "engine/io/safetensors.h"

#include <fmt/format.h>

#include <utility>

#include "engine/core/error.h"
#include "engine/io/safetensors_dtype.h"
#include "engine/io/safetensors_header.h"

namespace blalm {

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path) {
  SafetensorsFile result;
  result.file_ = MappedFile(path);
  const std::span<const std::byte> bytes = result.file_.bytes();
  safetensors::Header header = safetensors::parse_header(path.string(), bytes);
  result.data_ = bytes.subspan(header.data_begin);
  result.tensors_ = std::move(header.tensors);
  result.metadata_ = std::move(header.metadata);
  return result;
}

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  names.reserve(tensors_.size());
  for (const auto& [name, info] : tensors_) names.push_back(name);
  return names;
}

const SafetensorsInfo& SafetensorsFile::info(std::string_view name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end())
    throw DataError(expected_got("safetensors",
                                 fmt::format("tensor '{}' in {}", safetensors::printable(name), path().string()),
                                 fmt::format("{} tensors of other names", tensors_.size())));
  return found->second;
}

std::span<const std::byte> SafetensorsFile::bytes(std::string_view name) const {
  const SafetensorsInfo& tensor = info(name);
  return data_.subspan(static_cast<std::size_t>(tensor.begin), static_cast<std::size_t>(tensor.end - tensor.begin));
}

Tensor SafetensorsFile::load(std::string_view name) const { return read(name, DType::i32); }

Tensor SafetensorsFile::load_as(std::string_view name, DType dtype) const {
  const Tensor tensor = read(name, dtype);
  if (dtype == DType::i32 && is_floating(tensor.dtype()))
    safetensors::fail(safetensors::subject_of(path().string(), name), "integers", fmt::format("'{}'", info(name).dtype),
                      "floating tensors are not rounded to i32");
  return tensor.to(dtype);
}

Tensor SafetensorsFile::read(std::string_view name, DType wanted) const {
  const SafetensorsInfo& tensor = info(name);
  const std::string subject = safetensors::subject_of(path().string(), name);
  const safetensors::StoredType& type = *safetensors::find_stored_type(tensor.dtype);
  if (type.read == nullptr)
    safetensors::fail(subject, "a dtype that can be computed with", fmt::format("'{}'", type.name),
                      fmt::format("dtype {} is not supported", type.name));
  return type.read(bytes(name).data(), tensor.shape, wanted, subject);
}

}  // namespace blalm
