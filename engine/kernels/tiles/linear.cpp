// Linear layers by tiles. Packed copies of a weight, one for y = x Wᵀ and one for dx = dy W, stay with the weight
// until it is written to: they are made once an optimiser step.
#include "engine/kernels/tiles/linear.h"

#include <algorithm>

#include "engine/core/derived.h"
#include "engine/core/parallel.h"
#include "engine/kernels/linear.h"
#include "engine/kernels/partial_sums.h"
#include "engine/kernels/tiles/backend.h"

namespace blalm::kernels::tiles {
namespace {

// Rows of x that a weight gradient takes at a time: their packed copies stay in the caches.
constexpr std::int64_t kRowsAtATime = 4096;
constexpr double kCostOfPiece = kPiece / 8.0;  // of packing, in the measure of parallel_for

Source source(const Tensor& t) { return {t.raw(), t.dtype(), t.dim(0), t.dim(1), t.dim(1)}; }

// The two copies of a weight [N, K]. What takes time is to read the weight: with few rows to spread it over, both are
// made at once, [2, size]; with many, the second waits for the backward pass, which has memory to spare.
const char kForward = 0, kBackward = 0;
constexpr std::int64_t kFewRows = 2048;

Tensor packed_forward(const Tensor& weight, bool both) {
  return derived_copy(weight, &kForward, [&](const Tensor& last) {
    const std::int64_t size = packed_size(weight.dim(0), weight.dim(1)), copies = both ? 2 : 1;
    const Tensor to = last.defined() && last.dim(0) == copies ? last : Tensor::empty({copies, size}, DType::bf16);
    const Source matrix = source(weight);
    BFloat16* data = to.mutable_data<BFloat16>();
    parallel_for(size / kPiece, kCostOfPiece, [&](std::int64_t first, std::int64_t end) {
      pack_right_both(matrix, data, both ? data + size : nullptr, first, end);
    });
    return to;
  });
}

Tensor packed_backward(const Tensor& weight) {
  const Tensor forward = packed_forward(weight, false);
  if (forward.dim(0) == 2) return forward.rows(1, 2);
  return derived_copy(weight, &kBackward, [&](const Tensor& last) {
    return packed(pack_right, weight, weight.dim(1), weight.dim(0), last);
  });
}

// A left operand in rows. Where the depth is no multiple of 32 its end lies in a padded copy of its own.
struct LeftRows {
  Tensor rows, end;

  explicit LeftRows(const Tensor& x) : rows(x) {
    const std::int64_t width = x.dim(1), whole = width / kDepth * kDepth;
    if (whole == width) return;
    end = Tensor::zeros({x.dim(0), kDepth}, DType::bf16);
    const BFloat16* from = x.data<BFloat16>();
    BFloat16* to = end.mutable_data<BFloat16>();
    for (std::int64_t i = 0; i < x.dim(0); ++i) std::copy_n(from + i * width + whole, width - whole, to + i * kDepth);
  }

  void terms(const Tensor& right, std::vector<Term>& into) const {
    const std::int64_t depth = rows.dim(1), steps = depth / kDepth, block = blocks(depth) * kPiece;
    const BFloat16* packed = right.data<BFloat16>();
    if (steps > 0) into.push_back({Left::rows(rows.data<BFloat16>(), depth), packed, block, steps});
    if (end.defined()) into.push_back({Left::rows(end.data<BFloat16>(), kDepth), packed + steps * kPiece, block, 1});
  }
};

// A weight gradient of few blocks is shared out by rows, so many a task: by blocks, most threads would wait for
// operands that others packed.
constexpr std::int64_t kFewBlocks = 16, kRowsATask = 1024;

bool has_few_blocks(const LinearWeightArgs::Output& o) {
  return blocks(o.dw.dim(0)) * blocks(o.dw.dim(1)) <= kFewBlocks && o.dy.dim(0) > kRowsATask;
}

void weight_by_rows(const Tensor& x, const LinearWeightArgs::Output& o, Unit unit) {
  const std::int64_t rows = x.dim(0), in = x.dim(1), out = o.dy.dim(1), tasks = (rows + kRowsATask - 1) / kRowsATask;
  const Tensor partial = Tensor::empty({tasks, out, in});
  const double cost = kCostOfPiece * static_cast<double>(blocks(kRowsATask) * (blocks(in) + blocks(out)));
  parallel_for(tasks, cost, [&](std::int64_t first, std::int64_t last) {
    Multiplier multiply(unit);
    const Tensor left = Tensor::empty({packed_size(out, kRowsATask)}, DType::bf16);
    const Tensor right = Tensor::empty({packed_size(in, kRowsATask)}, DType::bf16);
    for (std::int64_t task = first; task < last; ++task) {
      const std::int64_t begin = task * kRowsATask, end = std::min(begin + kRowsATask, rows),
                         steps = blocks(end - begin);
      pack_left_transposed(source(o.dy.rows(begin, end)), left.mutable_data<BFloat16>(), 0, blocks(out) * steps);
      pack_right(source(x.rows(begin, end)), right.mutable_data<BFloat16>(), 0, blocks(in) * steps);
      const Term term{Left::packed(left.data<BFloat16>(), end - begin), right.data<BFloat16>(), steps * kPiece, steps};
      multiply(result({&term, 1}, partial.rows(task, task + 1).reshape({out, in})));
    }
  });
  const auto sum = [&](auto* dw) { add_parts(partial.data<float>(), tasks, out * in, dw, o.add_dw); };
  o.dw.dtype() == DType::bf16 ? sum(o.dw.mutable_data<BFloat16>()) : sum(o.dw.mutable_data<float>());
}

Reason declines_operand(const Tensor& x) { return x.dtype() == DType::bf16 ? nullptr : "takes bf16 only"; }
bool narrow(const Tensor& x) { return x.dtype() == DType::bf16 || x.dtype() == DType::f32; }

}  // namespace

Tensor packed(Pack pack, const Tensor& from, std::int64_t width, std::int64_t depth, const Tensor& reuse) {
  const std::int64_t size = packed_size(width, depth);
  const Tensor to = reuse.defined() && reuse.numel() == size ? reuse : Tensor::empty({size}, DType::bf16);
  const Source matrix = source(from);
  BFloat16* data = to.mutable_data<BFloat16>();
  parallel_for(size / kPiece, kCostOfPiece,
               [&](std::int64_t first, std::int64_t last) { pack(matrix, data, first, last); });
  return to;
}

Product result(std::span<const Term> terms, const Tensor& c) {
  return {terms, c.mutable_raw(), c.dtype(), c.dim(0), c.dim(1), c.dim(1)};
}

Reason declines_linear(const LinearArgs& args) {
  if (args.x.numel() == 0) return "an empty matrix";
  return declines_operand(args.x);
}

Reason declines_linear_data(const LinearDataArgs& args) {
  for (const LinearDataArgs::Term& t : args.terms)
    if (t.dy.numel() == 0 || !narrow(t.dy)) return "an empty matrix, or another dtype than bf16 and f32";
  return declines_operand(args.dx);
}

Reason declines_linear_weight(const LinearWeightArgs& args) {
  for (const LinearWeightArgs::Output& o : args.outputs) {
    if (o.dy.numel() == 0 || !narrow(o.dy)) return "an empty matrix, or another dtype than bf16 and f32";
    if (o.dw.defined() && !narrow(o.dw)) return "writes f32 and bf16 only";
  }
  return args.x.numel() == 0 ? "an empty matrix" : declines_operand(args.x);
}

void linear(const LinearArgs& args, Unit unit) {
  const LeftRows x(args.x);
  const std::size_t count = args.outputs.size();
  const bool both = args.gradient && args.x.dim(0) <= kFewRows;
  std::vector<std::vector<Term>> terms(count);
  std::vector<Tensor> weights;
  std::vector<Product> products;
  for (std::size_t j = 0; j < count; ++j) {
    const LinearArgs::Output& o = args.outputs[j];
    if (o.y.numel() == 0) continue;
    weights.push_back(packed_forward(o.weight, both));
    x.terms(weights.back(), terms[j]);
    Product& product = products.emplace_back(result(terms[j], o.y));
    if (o.bias.defined()) product.bias = o.bias.data<float>();
  }
  multiply(unit, products);
}

void multiply(Unit unit, const Term& term, std::int64_t rows, std::int64_t cols, const Sink& sink) {
  Product product;
  product.terms = {&term, 1};
  product.rows = rows;
  product.cols = cols;
  product.sink = &sink;
  multiply(unit, {&product, 1});
}

void linear_data(const LinearDataArgs& args, Unit unit) {
  std::vector<Term> terms;
  std::vector<LeftRows> left;
  std::vector<Tensor> weights;
  for (const LinearDataArgs::Term& t : args.terms) {
    left.emplace_back(t.dy.to(DType::bf16));
    weights.push_back(packed_backward(t.weight));
    left.back().terms(weights.back(), terms);
  }
  Product product = result(terms, args.dx);
  product.add = args.add;
  multiply(unit, {&product, 1});
}

void linear_weight(const LinearWeightArgs& args, Unit unit) {
  const std::int64_t rows = args.x.dim(0), width = args.x.dim(1);
  std::vector<LinearWeightArgs::Output> outputs;
  for (const LinearWeightArgs::Output& o : args.outputs)
    if (o.dw.defined()) outputs.push_back(o);
  if (std::all_of(outputs.begin(), outputs.end(), has_few_blocks)) {
    for (const LinearWeightArgs::Output& o : outputs) weight_by_rows(args.x, o, unit);
    return;
  }
  for (std::int64_t begin = 0; begin < rows; begin += kRowsAtATime) {
    const std::int64_t end = std::min(begin + kRowsAtATime, rows), depth = end - begin;
    const Tensor right = packed(pack_right, args.x.rows(begin, end), width, depth);
    std::vector<Tensor> left;
    std::vector<Term> terms(outputs.size());
    std::vector<Product> products;
    for (std::size_t j = 0; j < outputs.size(); ++j) {
      const LinearWeightArgs::Output& o = outputs[j];
      left.push_back(packed(pack_left_transposed, o.dy.rows(begin, end), o.dy.dim(1), depth));
      terms[j] = {Left::packed(left[j].data<BFloat16>(), depth), right.data<BFloat16>(), blocks(depth) * kPiece,
                  blocks(depth)};
      Product& product = products.emplace_back(result({&terms[j], 1}, o.dw));
      product.add = o.add_dw || begin > 0;
    }
    multiply(unit, products);
  }
}

}  // namespace blalm::kernels::tiles
