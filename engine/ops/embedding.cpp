// Embedding: y_i = W[id_i], W [V, d].      dW[v] = Σ_{i: id_i = v} dy_i
#include "engine/kernels/embedding.h"

#include "engine/autograd/op.h"
#include "engine/core/error.h"
#include "engine/ops/check.h"
#include "engine/ops/ops.h"

namespace blalm::ops {

Var embedding(const Tensor& ids, const Var& weight, Where where) {
  check_rank("embedding", "weight", weight, 2);
  check_dtype("embedding", "ids", ids, DType::i32);
  const std::int64_t vocabulary = weight.dim(0), d = weight.dim(1), n = ids.numel();
  for (const std::int32_t id : ids.values<std::int32_t>())
    if (id < 0 || id >= vocabulary)
      throw DataError(expected_got("embedding", "ids in [0, " + std::to_string(vocabulary) + ")", std::to_string(id),
                                   "was the text encoded with another tokenizer?"));
  Op op("embedding", {weight}, where);
  Tensor y = Tensor::empty(ids.shape().with_inserted(ids.rank(), d), weight.dtype());
  op.ran(kernels::embedding({ids.reshape({n}), weight.value(), y.reshape({n, d})}));
  return op.finish(y, {ids.reshape({n})}, [n, d](Backward& back) {
    const auto [dw, add] = back.slot(0);
    kernels::embedding_backward({back.saved(0), back.dout().reshape({n, d}), dw, add});
  });
}

// A product with rows that are 1 at their id and 0 elsewhere.
Var composed::embedding(const Tensor& ids, const Var& weight) {
  const std::int64_t vocabulary = weight.dim(0), d = weight.dim(1), n = ids.numel();
  Tensor one_hot = Tensor::zeros({n, vocabulary}, DType::i32);
  std::int32_t* row = one_hot.mutable_data<std::int32_t>();
  for (const std::int32_t id : ids.values<std::int32_t>()) {
    row[id] = 1;
    row += vocabulary;
  }
  return ops::reshape(ops::matmul(one_hot.to(weight.dtype()), weight), ids.shape().with_inserted(ids.rank(), d));
}

}  // namespace blalm::ops
