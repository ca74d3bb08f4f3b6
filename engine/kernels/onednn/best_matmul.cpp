#include "engine/kernels/onednn/best_matmul.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/rng.h"
#include "engine/kernels/matmul.h"
#include "engine/kernels/onednn/backend.h"

namespace blalm::kernels::onednn {
namespace {

using dnnl::memory;

memory::data_type data_type(DType dtype) {
  return dtype == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

// Normal numbers, a few thousand of them again and again: zeros would be kinder to the processor than a step is.
void fill(const memory& m, DType dtype) {
  constexpr std::int64_t kDrawn = 4096;
  const Tensor drawn = Tensor::empty({kDrawn}, dtype);
  Rng(0).fill_normal(drawn, 0, 1);
  auto* to = static_cast<std::byte*>(m.get_data_handle());
  const std::size_t all = m.get_desc().get_size(), piece = static_cast<std::size_t>(drawn.bytes());
  for (std::size_t i = 0; i < all; i += piece) std::memcpy(to + i, drawn.raw(), std::min(piece, all - i));
}

// rows x cols numbers that lie row by row, or, as the transpose of what lies so, column by column.
memory::desc plain(std::int64_t rows, std::int64_t cols, bool transposed, DType dtype) {
  return {{rows, cols}, data_type(dtype), transposed ? memory::dims{1, rows} : memory::dims{cols, 1}};
}

struct Layouts {
  memory::desc a, b, c;
};

Layouts layouts(const LinearShape& s) {
  switch (s.product) {
    case LinearProduct::forward:
      return {plain(s.rows, s.in, false, s.operand), plain(s.in, s.out, true, s.operand),
              plain(s.rows, s.out, false, s.result)};
    case LinearProduct::input_gradient:
      return {plain(s.rows, s.out, false, s.operand), plain(s.out, s.in, false, s.operand),
              plain(s.rows, s.in, false, s.result)};
    case LinearProduct::weight_gradient: break;
  }
  return {plain(s.out, s.rows, true, s.operand), plain(s.rows, s.in, false, s.operand),
          plain(s.out, s.in, false, s.result)};
}

}  // namespace

Reason best_matmul_unavailable(DType operand) { return operand == DType::bf16 ? unavailable_bf16() : nullptr; }

std::string version() {
  const dnnl::version_t* v = dnnl::version();
  return std::to_string(v->major) + '.' + std::to_string(v->minor) + '.' + std::to_string(v->patch);
}

struct BestMatmul::Parts {
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  dnnl::matmul product;
  memory a, b, c;
};

BestMatmul::BestMatmul(const LinearShape& shape) : parts_(std::make_unique<Parts>()) {
  if (const Reason reason = best_matmul_unavailable(shape.operand))
    throw ConfigError(expected_got("best matmul", "a processor that can run it", reason));
  Parts& p = *parts_;
  Layouts l = layouts(shape);
  if (shape.product != LinearProduct::weight_gradient)
    l.b = memory::desc(l.b.dims(), l.b.data_type(), memory::format_tag::any);
  const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(l.a, l.b, l.c), p.engine);
  p.product = dnnl::matmul(desc);
  p.a = memory(desc.src_desc(), p.engine);
  p.b = memory(desc.weights_desc(), p.engine);
  p.c = memory(desc.dst_desc(), p.engine);
  // Numbers without a meaning need no reordering: any order of them is a packed weight.
  fill(p.a, shape.operand);
  fill(p.b, shape.operand);
}

BestMatmul::BestMatmul(BestMatmul&&) noexcept = default;
BestMatmul::~BestMatmul() = default;

double BestMatmul::run() {
  Parts& p = *parts_;
  const auto start = std::chrono::steady_clock::now();
  p.product.execute(p.stream, {{DNNL_ARG_SRC, p.a}, {DNNL_ARG_WEIGHTS, p.b}, {DNNL_ARG_DST, p.c}});
  p.stream.wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace blalm::kernels::onednn
