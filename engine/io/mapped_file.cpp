#include "engine/io/mapped_file.h"

#include <sys/mman.h>

#include <utility>

#include "engine/io/input_file.h"

namespace blalm {

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  const InputFile file(path_);  // the mapping outlives the descriptor, which is needed only to make it
  const auto size = static_cast<std::size_t>(file.size());
  if (size == 0) return;  // mmap refuses a length of 0
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (address == MAP_FAILED) file.fail_with_errno();
  data_ = static_cast<const std::byte*>(address);
  size_ = size;
  try {
    live_ = std::make_unique<LiveMapping>(bytes(), path_);
  } catch (...) {
    ::munmap(address, size);
    throw;
  }
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      live_(std::move(other.live_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(live_, other.live_);
  return *this;
}

MappedFile::~MappedFile() {
  live_.reset();
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace blalm
