// A contiguous, row-major array of numbers: a shared handle on pooled storage plus a shape, a dtype and an offset.
// Copying a Tensor copies the handle; clone() copies the numbers. Reshape and slices of the first axis are views.
#pragma once

#include <cassert>
#include <cstdint>
#include <span>
#include <string>

#include "engine/core/dtype.h"
#include "engine/core/pool.h"
#include "engine/core/shape.h"

namespace blalm {

class Tensor {
 public:
  Tensor() = default;  // undefined: no storage
  Tensor(const Tensor& other);
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(const Tensor& other);
  Tensor& operator=(Tensor&& other) noexcept;
  ~Tensor() { release(); }

  static Tensor empty(const Shape& shape, DType dtype = DType::f32);  // uninitialised
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::f32);
  static Tensor scalar(double value, DType dtype = DType::f32) { return full({}, value, dtype); }
  // Copies `values`, which must have shape.numel() elements (else ShapeError).
  template <class T>
  static Tensor from(const Shape& shape, std::span<const T> values);
  static Tensor from_ids(const Shape& shape, std::span<const std::int32_t> ids) {
    return from<std::int32_t>(shape, ids);
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t dim(int axis) const { return shape_.dim(axis); }
  int rank() const { return shape_.rank(); }
  std::int64_t numel() const { return numel_; }
  DType dtype() const { return dtype_; }
  std::int64_t bytes() const { return numel_ * size_of(dtype_); }
  std::string str() const;  // "f32[2, 64]"

  // Read access. T must be the C++ type of dtype().
  template <class T>
  const T* data() const {
    assert(dtype_of<T> == dtype_);
    return reinterpret_cast<const T*>(raw());
  }
  // Write access; marks the storage as written at `where`, which is what the tape's saved-tensor check looks at.
  template <class T>
  T* mutable_data(Location where = Location::current()) const {
    assert(dtype_of<T> == dtype_);
    return reinterpret_cast<T*>(mutable_raw(where));
  }
  template <class T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<std::size_t>(numel_)};
  }
  const void* raw() const;
  void* mutable_raw(Location where = Location::current()) const;

  // Views: same numbers, no copy. One size of `shape` may be -1 and is then worked out.
  Tensor reshape(std::span<const std::int64_t> dims) const;
  Tensor reshape(std::initializer_list<std::int64_t> dims) const { return reshape({dims.begin(), dims.size()}); }
  Tensor reshape(const Shape& shape) const { return reshape(shape.dims()); }
  Tensor rows(std::int64_t begin, std::int64_t end) const;  // [begin, end) of the first axis
  Tensor row(std::int64_t index) const;                     // one entry of the first axis, that axis dropped

  Tensor clone() const;
  Tensor to(DType dtype) const;  // *this when the dtype is the same, a converted copy otherwise
  void fill(double value, Location where = Location::current()) const;
  void copy_from(const Tensor& source, Location where = Location::current()) const;  // converts; ShapeError on mismatch
  double item() const;                       // the only element; ShapeError when there are more
  double at(std::int64_t flat_index) const;  // any element as double (real part), slow: for tests and printing

  // Identity of the storage.
  bool shares_storage_with(const Tensor& other) const { return storage_ == other.storage_; }
  bool unique() const { return storage_ != nullptr && storage_->references.load(std::memory_order_acquire) == 1; }
  std::uint32_t version() const { return storage_ == nullptr ? 0 : storage_->version.load(std::memory_order_acquire); }
  const Storage* storage() const { return storage_; }
  void mark_inference() const {
    if (storage_ != nullptr) storage_->inference = true;
  }

 private:
  void retain() const;
  void release();
  bool inside_storage() const;  // asserted wherever memory is handed out

  Storage* storage_ = nullptr;
  std::int64_t offset_ = 0;  // bytes
  std::int64_t numel_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
};

}  // namespace blalm
