#include "engine/core/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstring>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/narrow.h"
#include "engine/core/parallel.h"

namespace blalm {
namespace {

template <class From, class To>
void convert_range(const From* from, To* to, std::int64_t n) {
  if constexpr (std::is_same_v<From, float> && std::is_same_v<To, BFloat16>) return narrow(from, to, n);
  for (std::int64_t i = 0; i < n; ++i) {
    if constexpr (std::is_same_v<To, Complex> || std::is_same_v<From, Complex>) {
      if constexpr (std::is_same_v<To, Complex> && std::is_same_v<From, Complex>)
        to[i] = from[i];
      else if constexpr (std::is_same_v<To, Complex>)
        to[i] = static_cast<double>(from[i]);
      else
        to[i] = static_cast<To>(static_cast<Compute<To>>(from[i].real()));
    } else {
      to[i] = static_cast<To>(static_cast<Compute<To>>(static_cast<Compute<From>>(from[i])));
    }
  }
}

template <class From, class To>
void convert(const From* from, To* to, std::int64_t n) {
  parallel_for(n, 0.5,
               [=](std::int64_t begin, std::int64_t end) { convert_range(from + begin, to + begin, end - begin); });
}

template <class F>
void visit_any(DType dtype, F&& f) {
  if (dtype == DType::i32)
    f(TypeTag<std::int32_t>{});
  else
    visit_floating(dtype, f);
}

}  // namespace

void Tensor::retain() const {
  if (storage_ != nullptr) storage_->references.fetch_add(1, std::memory_order_relaxed);
}

void Tensor::release() {
  if (storage_ != nullptr) {
    const std::int32_t before = storage_->references.fetch_sub(1, std::memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) Pool::instance().release(storage_);
  }
  storage_ = nullptr;
}

Tensor::Tensor(const Tensor& other)
    : storage_(other.storage_),
      offset_(other.offset_),
      numel_(other.numel_),
      shape_(other.shape_),
      dtype_(other.dtype_) {
  retain();
}

Tensor::Tensor(Tensor&& other) noexcept
    : storage_(std::exchange(other.storage_, nullptr)),
      offset_(other.offset_),
      numel_(other.numel_),
      shape_(other.shape_),
      dtype_(other.dtype_) {}

Tensor& Tensor::operator=(const Tensor& other) {
  if (this != &other) *this = Tensor(other);
  return *this;
}

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  if (this == &other) return *this;
  release();
  storage_ = std::exchange(other.storage_, nullptr);
  offset_ = other.offset_;
  numel_ = other.numel_;
  shape_ = other.shape_;
  dtype_ = other.dtype_;
  return *this;
}

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  t.numel_ = shape.numel();
  std::int64_t bytes = 0;
  if (__builtin_mul_overflow(t.numel_, size_of(dtype), &bytes))
    throw ShapeError(expected_got("tensor", "fewer than 2^63 bytes", t.str()));
  t.storage_ = Pool::instance().acquire(static_cast<std::size_t>(bytes));
  return t;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  Tensor t = empty(shape, dtype);
  std::memset(t.mutable_raw(), 0, static_cast<std::size_t>(t.bytes()));
  return t;
}

Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  Tensor t = empty(shape, dtype);
  t.fill(value);
  return t;
}

template <class T>
Tensor Tensor::from(const Shape& shape, std::span<const T> values) {
  if (static_cast<std::int64_t>(values.size()) != shape.numel())
    throw ShapeError(expected_got("tensor", fmt::format("{} values for {}", shape.numel(), shape.str()),
                                  fmt::format("{}", values.size())));
  Tensor t = empty(shape, dtype_of<T>);
  if (!values.empty()) std::memcpy(t.mutable_raw(), static_cast<const void*>(values.data()), values.size_bytes());
  return t;
}
template Tensor Tensor::from<float>(const Shape&, std::span<const float>);
template Tensor Tensor::from<BFloat16>(const Shape&, std::span<const BFloat16>);
template Tensor Tensor::from<double>(const Shape&, std::span<const double>);
template Tensor Tensor::from<Complex>(const Shape&, std::span<const Complex>);
template Tensor Tensor::from<std::int32_t>(const Shape&, std::span<const std::int32_t>);

std::string Tensor::str() const { return defined() ? fmt::format("{}{}", name_of(dtype_), shape_.str()) : "undefined"; }

bool Tensor::inside_storage() const {
  return defined() && numel_ == shape_.numel() && offset_ >= 0 &&
         offset_ + bytes() <= static_cast<std::int64_t>(storage_->bytes);
}

const void* Tensor::raw() const {
  assert(inside_storage());
  return storage_->data() + offset_;
}

void* Tensor::mutable_raw(Location where) const {
  assert(inside_storage());
  storage_->version.fetch_add(1, std::memory_order_acq_rel);
  storage_->last_write = where;
  return storage_->data() + offset_;
}

Tensor Tensor::reshape(std::span<const std::int64_t> dims) const {
  std::int64_t known = 1;
  int unknown = -1;
  bool overflow = false;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == -1 && unknown < 0)
      unknown = static_cast<int>(i);
    else
      overflow = __builtin_mul_overflow(known, dims[i], &known) || overflow;
  }
  const auto fail = [&] {
    throw ShapeError(expected_got("reshape", fmt::format("a shape of {} elements", numel_),
                                  fmt::format("[{}] for {}", fmt::join(dims, ", "), str())));
  };
  if (overflow) fail();
  if (dims.size() > kMaxRank) fail();
  std::array<std::int64_t, kMaxRank> full{};
  std::copy(dims.begin(), dims.end(), full.begin());
  if (unknown >= 0) {
    if (known <= 0 || numel_ % known != 0) fail();
    full[static_cast<std::size_t>(unknown)] = numel_ / known;
  }
  Tensor t = *this;
  t.shape_ = Shape(std::span<const std::int64_t>(full.data(), dims.size()));
  if (t.shape_.numel() != numel_) fail();
  return t;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  if (rank() == 0 || begin < 0 || end < begin || end > shape_[0])
    throw ShapeError(expected_got("rows", fmt::format("a range inside the first axis of {}", str()),
                                  fmt::format("[{}, {})", begin, end)));
  Tensor t = *this;
  t.shape_ = shape_.with(0, end - begin);
  t.numel_ = t.shape_.numel();
  t.offset_ += begin * shape_.without(0).numel() * size_of(dtype_);
  return t;
}

Tensor Tensor::row(std::int64_t index) const {
  Tensor t = rows(index, index + 1);
  t.shape_ = shape_.without(0);
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_);
  std::memcpy(t.mutable_raw(), raw(), static_cast<std::size_t>(bytes()));
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor t = empty(shape_, dtype);
  t.copy_from(*this);
  return t;
}

void Tensor::fill(double value, Location where) const {
  void* p = mutable_raw(where);
  visit_any(dtype_, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T v = [&] {
      if constexpr (std::is_same_v<T, Complex>)
        return Complex(value);
      else
        return static_cast<T>(static_cast<Compute<T>>(value));
    }();
    std::fill_n(static_cast<T*>(p), numel_, v);
  });
}

void Tensor::copy_from(const Tensor& source, Location where) const {
  if (source.shape_ != shape_) throw ShapeError(expected_got("copy", shape_.str(), source.shape_.str()));
  void* to = mutable_raw(where);
  if (source.dtype_ == dtype_) {
    std::memmove(to, source.raw(), static_cast<std::size_t>(bytes()));
    return;
  }
  visit_any(source.dtype_, [&](auto from_tag) {
    using From = typename decltype(from_tag)::type;
    visit_any(dtype_, [&](auto to_tag) {
      using To = typename decltype(to_tag)::type;
      convert(source.data<From>(), static_cast<To*>(to), numel_);
    });
  });
}

double Tensor::item() const {
  if (numel_ != 1) throw ShapeError(expected_got("item", "a tensor of one element", str()));
  return at(0);
}

double Tensor::at(std::int64_t i) const {
  assert(i >= 0 && i < numel_);
  double value = 0;
  visit_any(dtype_, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, std::int32_t>)
      value = data<T>()[i];
    else
      value = static_cast<double>(real_part(data<T>()[i]));
  });
  return value;
}

}  // namespace blalm
