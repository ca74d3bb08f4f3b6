#include "engine/kernels/matmul.h"

#include <array>
#include <bit>
#include <map>
#include <oneapi/dnnl/dnnl.hpp>

#include "engine/core/cpu.h"
#include "engine/core/parallel.h"
#include "engine/kernels/onednn/backend.h"

namespace blalm::kernels::onednn {
namespace {

using dnnl::memory;

// All that a primitive depends on. Creating one takes many times as long as a small product.
using Key = std::array<std::int64_t, 20>;

struct Primitive {
  dnnl::matmul primitive;
  memory::desc a, b, c, scratchpad;
};

const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::data_type data_type(const Tensor& t) {
  return t.dtype() == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}

memory::desc descriptor(const Matrices& x, const MatmulArgs& args) {
  const std::int64_t row = x.transposed ? 1 : x.row_stride, col = x.transposed ? x.row_stride : 1;
  // A repeated matrix has batch size 1, which oneDNN broadcasts.
  const std::int64_t outer = x.outer_stride == 0 ? 1 : args.outer, inner = x.inner_stride == 0 ? 1 : args.inner;
  if (args.outer * args.inner == 1) return {{x.op_rows(), x.op_cols()}, data_type(x.tensor), memory::dims{row, col}};
  return {{outer, inner, x.op_rows(), x.op_cols()},
          data_type(x.tensor),
          memory::dims{outer == 1 ? x.op_rows() * x.op_cols() * inner : x.outer_stride,
                       inner == 1 ? x.op_rows() * x.op_cols() : x.inner_stride, row, col}};
}

Primitive make(const MatmulArgs& args) {
  Primitive p;
  p.a = descriptor(args.a, args);
  p.b = descriptor(args.b, args);
  p.c = descriptor(args.c, args);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (args.alpha != 1) attr.set_output_scales(0, {static_cast<float>(args.alpha)});
  if (args.add) {
    dnnl::post_ops ops;
    ops.append_sum(1.0F);
    attr.set_post_ops(ops);
  }
  const dnnl::matmul::primitive_desc desc(dnnl::matmul::desc(p.a, p.b, p.c), attr, engine());
  p.scratchpad = desc.scratchpad_desc();
  p.primitive = dnnl::matmul(desc);
  return p;
}

Key key(const MatmulArgs& x) {
  const auto dtype = [](const Tensor& t) { return static_cast<std::int64_t>(t.dtype()); };
  return {x.a.rows,
          x.a.cols,
          x.a.row_stride,
          x.a.outer_stride,
          x.a.inner_stride,
          x.b.rows,
          x.b.cols,
          x.b.row_stride,
          x.b.outer_stride,
          x.b.inner_stride,
          x.c.row_stride,
          x.c.outer_stride,
          x.c.inner_stride,
          x.outer,
          x.inner,
          x.a.transposed + 2 * x.b.transposed + 4 * x.add,
          dtype(x.a.tensor) * 16 + dtype(x.c.tensor),
          std::bit_cast<std::int64_t>(x.alpha),
          num_threads(),
          in_parallel() ? 1 : 0};
}

}  // namespace

Reason unavailable() { return nullptr; }

Reason unavailable_bf16() { return cpu().avx512_bf16 ? nullptr : "the processor has no AVX512-BF16"; }

static Reason declines(const MatmulArgs& args) {
  if (args.m() == 0 || args.n() == 0 || args.k() == 0 || args.outer * args.inner == 0) return "an empty matrix";
  return nullptr;
}

Reason declines_matmul_f32(const MatmulArgs& args) {
  return args.a.tensor.dtype() == DType::f32 ? declines(args) : "takes f32 only";
}

Reason declines_matmul_bf16(const MatmulArgs& args) {
  return args.a.tensor.dtype() == DType::bf16 ? declines(args) : "takes bf16 only";
}

void matmul(const MatmulArgs& args) {
  thread_local std::map<Key, Primitive> primitives;
  thread_local dnnl::stream stream(engine());
  const Key k = key(args);
  auto it = primitives.find(k);
  if (it == primitives.end()) it = primitives.emplace(k, make(args)).first;
  const Primitive& p = it->second;

  const auto at = [](const Matrices& x, void* base) {
    return static_cast<void*>(static_cast<std::byte*>(base) + x.offset * size_of(x.tensor.dtype()));
  };
  const Tensor scratchpad = Tensor::empty({static_cast<std::int64_t>((p.scratchpad.get_size() + 3) / 4)}, DType::i32);
  const memory a(p.a, engine(), at(args.a, const_cast<void*>(args.a.tensor.raw())));
  const memory b(p.b, engine(), at(args.b, const_cast<void*>(args.b.tensor.raw())));
  const memory c(p.c, engine(), at(args.c, args.c.tensor.mutable_raw()));
  const memory scratch(p.scratchpad, engine(), scratchpad.mutable_raw());
  p.primitive.execute(stream,
                      {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}, {DNNL_ARG_SCRATCHPAD, scratch}});
  stream.wait();
}

}  // namespace blalm::kernels::onednn
