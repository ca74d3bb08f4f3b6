#include "blalm/kernels/onednn/best_matmul.h"

#include <algorithm>
#include <chrono>
#include <oneapi/dnnl/dnnl.hpp>

#include "blalm/core/rng.h"
#include "blalm/kernels/matmul.h"

namespace blalm::kernels::onednn {
namespace {

using dnnl::memory;

memory::data_type data_type(DType dtype) {
  return dtype == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

// Normal numbers, a few thousand of them again and again: zeros would be kinder to the processor than a step is.
Tensor numbers(std::int64_t rows, std::int64_t cols, DType dtype) {
  constexpr std::int64_t kDrawn = 4099;
  const std::int64_t count = rows * cols;
  const Tensor drawn = Tensor::empty({kDrawn}, dtype), all = Tensor::empty({count}, dtype);
  Rng(0).fill_normal(drawn, 0, 1);
  for (std::int64_t i = 0; i < count; i += kDrawn)
    all.rows(i, std::min(i + kDrawn, count)).copy_from(drawn.rows(0, std::min(kDrawn, count - i)));
  return all;
}

struct Operand {
  Tensor tensor;
  memory::desc layout;

  memory on(const dnnl::engine& engine) const { return {layout, engine, const_cast<void*>(tensor.raw())}; }
};

// rows x cols numbers that lie row by row, or, as the transpose of what lies so, column by column.
Operand plain(std::int64_t rows, std::int64_t cols, bool transposed, DType dtype) {
  const memory::dims strides = transposed ? memory::dims{1, rows} : memory::dims{cols, 1};
  return {numbers(rows, cols, dtype), {{rows, cols}, data_type(dtype), strides}};
}

}  // namespace

Reason best_matmul_unavailable(DType operand) { return operand == DType::bf16 ? unavailable_bf16() : nullptr; }

std::string version() {
  const dnnl::version_t* v = dnnl::version();
  return std::to_string(v->major) + '.' + std::to_string(v->minor) + '.' + std::to_string(v->patch);
}

std::vector<double> time_best_matmul(const LinearShape& s, std::int64_t repeats) {
  const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(engine);
  const bool weights = s.product != LinearProduct::weight_gradient;
  Operand a, b;
  switch (s.product) {
    case LinearProduct::forward:
      a = plain(s.rows, s.in, false, s.operand);
      b = plain(s.in, s.out, true, s.operand);
      break;
    case LinearProduct::input_gradient:
      a = plain(s.rows, s.out, false, s.operand);
      b = plain(s.out, s.in, false, s.operand);
      break;
    case LinearProduct::weight_gradient:
      a = plain(s.out, s.rows, true, s.operand);
      b = plain(s.rows, s.in, false, s.operand);
      break;
  }
  const Operand c = plain(a.layout.dims()[0], b.layout.dims()[1], false, s.result);
  const memory::desc liked(b.layout.dims(), data_type(s.operand), memory::format_tag::any);
  const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(a.layout, weights ? liked : b.layout, c.layout), engine);
  memory unpacked = b.on(engine), packed = unpacked;
  if (weights && desc.weights_desc() != b.layout) {
    packed = memory(desc.weights_desc(), engine);
    dnnl::reorder(unpacked, packed).execute(stream, unpacked, packed);
  }
  const dnnl::matmul product(desc);
  std::vector<double> seconds;
  for (std::int64_t i = 0; i <= repeats; ++i) {
    const auto start = std::chrono::steady_clock::now();
    product.execute(stream, {{DNNL_ARG_SRC, a.on(engine)}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_DST, c.on(engine)}});
    stream.wait();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    if (i > 0) seconds.push_back(taken.count());
  }
  return seconds;
}

}  // namespace blalm::kernels::onednn
