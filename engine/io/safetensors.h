// The safetensors format: named tensors in one file that can be read in place.
//   u64 little-endian: length N of the header | N bytes: JSON object, padded with spaces | data
// The header maps each name to {"dtype": "F32", "shape": [2, 64], "data_offsets": [begin, end]}, offsets in bytes from
// the start of the data, which the tensors cover without overlap or hole; "__metadata__" maps strings to strings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/io/mapped_file.h"

namespace blalm {

using SafetensorsMetadata = std::map<std::string, std::string, std::less<>>;

struct SafetensorsInfo {
  std::string_view dtype;  // as the format spells it: "F32", "BF16", "I64"
  Shape shape;
  std::int64_t begin = 0;  // [begin, end) in bytes from the start of the data
  std::int64_t end = 0;
};

// Read-only, memory-mapped. The whole header is validated on opening; nothing is allocated because a header claims it.
class SafetensorsFile {
 public:
  // Throws DataError when the file cannot be read, FormatError "[safetensors] FILE: …" when it breaks the format or has
  // a tensor of more than kMaxRank axes.
  static SafetensorsFile open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return file_.path(); }
  const std::map<std::string, SafetensorsInfo, std::less<>>& tensors() const { return tensors_; }
  const SafetensorsMetadata& metadata() const { return metadata_; }
  std::vector<std::string> names() const;  // sorted
  bool contains(std::string_view name) const { return tensors_.contains(name); }

  // These throw DataError when there is no tensor of that name.
  const SafetensorsInfo& info(std::string_view name) const;
  // The bytes as they lie in the file, which need not be aligned; valid as long as this object.
  std::span<const std::byte> bytes(std::string_view name) const;
  // A copy, shape as stored. F32, BF16, F64 and I32 keep their dtype; F16 becomes f32; BOOL and the other integers
  // become i32. FormatError for a value outside i32 and for a dtype that blalm does not compute with (F8_E4M3, C64, …).
  Tensor load(std::string_view name) const;
  // The same numbers as `dtype`. Integers of any size become floating ones by way of f64, rounding where they must; a
  // floating tensor asked for as i32 is a FormatError.
  Tensor load_as(std::string_view name, DType dtype) const;

 private:
  Tensor read(std::string_view name, DType wanted) const;

  MappedFile file_;
  std::span<const std::byte> data_;  // what follows the header
  std::map<std::string, SafetensorsInfo, std::less<>> tensors_;
  SafetensorsMetadata metadata_;
};

// Collects tensors and writes them at once, atomically. The same tensors and metadata give the same bytes, in whatever
// order they were added.
class SafetensorsWriter {
 public:
  // Keeps a handle on `tensor`; its values are read by write(). `stored_as` may be f32, bf16 or f64 for a floating
  // tensor and must be i32 for an i32 one. Throws ShapeError when it is not or the tensor is undefined, FormatError
  // when the name is taken or reserved.
  void add(std::string name, const Tensor& tensor, DType stored_as);
  void add(std::string name, const Tensor& tensor) { add(std::move(name), tensor, tensor.dtype()); }
  // Throws FormatError when the key is taken.
  void metadata(std::string key, std::string value);

  // Throws DataError when the file cannot be written, FormatError when a string is not UTF-8 or the header too long.
  void write(const std::filesystem::path& path) const;

 private:
  struct Entry {
    Tensor tensor;
    DType stored_as;
  };
  std::map<std::string, Entry> entries_;
  SafetensorsMetadata metadata_;
};

}  // namespace blalm
