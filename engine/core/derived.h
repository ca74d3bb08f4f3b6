// Copies of a tensor in other forms, kept with its storage until the tensor is written to: the bf16 copies of a weight
// in the order in which a kernel reads them, made once an optimiser step.
#pragma once

#include <functional>

#include "engine/core/tensor.h"

namespace blalm {

// The copy of `source` called `form`. `make` is called when there is none or when the storage was written to since; it
// gets the tensor of the last copy, of which it may reuse the memory, or an undefined one. A form has one meaning in
// the whole program: take the address of something of the caller's. Thread-safe, one caller a storage at a time.
Tensor derived_copy(const Tensor& source, const void* form, const std::function<Tensor(const Tensor& last)>& make);

// Frees the copies of `source`, for when those of another step would only be thrown away.
void drop_derived(const Tensor& source);

}  // namespace blalm
