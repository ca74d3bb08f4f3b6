#include "engine/core/derived.h"

#include <mutex>
#include <vector>

namespace blalm {
namespace {

struct Copies : Derived {
  struct Copy {
    const void* form;
    const void* data;  // of the source: a storage may hold several tensors
    Shape shape;
    DType dtype;
    std::uint32_t version;
    Tensor tensor;
  };
  std::mutex mutex;
  std::vector<Copy> list;
};

Copies& copies_of(const Tensor& source) {
  std::atomic<Derived*>& slot = const_cast<Storage*>(source.storage())->derived;
  Derived* there = slot.load(std::memory_order_acquire);
  if (there == nullptr) {
    auto* made = new Copies;
    if (slot.compare_exchange_strong(there, made, std::memory_order_acq_rel)) return *made;
    delete made;
  }
  return static_cast<Copies&>(*there);
}

}  // namespace

Tensor derived_copy(const Tensor& source, const void* form, const std::function<Tensor(const Tensor&)>& make) {
  Copies& copies = copies_of(source);
  std::lock_guard lock(copies.mutex);
  const std::uint32_t version = source.version();
  for (Copies::Copy& copy : copies.list) {
    if (copy.form != form || copy.data != source.raw() || copy.shape != source.shape() || copy.dtype != source.dtype())
      continue;
    if (copy.version != version) {
      copy.tensor = make(copy.tensor);
      copy.version = version;
    }
    return copy.tensor;
  }
  copies.list.push_back({form, source.raw(), source.shape(), source.dtype(), version, make({})});
  return copies.list.back().tensor;
}

void drop_derived(const Tensor& source) {
  if (!source.defined()) return;
  std::atomic<Derived*>& slot = const_cast<Storage*>(source.storage())->derived;
  if (auto* there = static_cast<Copies*>(slot.load(std::memory_order_acquire)); there != nullptr) {
    std::lock_guard lock(there->mutex);
    there->list.clear();
  }
}

}  // namespace blalm
