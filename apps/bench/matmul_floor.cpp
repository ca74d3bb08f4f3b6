#include "blalm/apps/bench/matmul_floor.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "blalm/apps/bench/measure.h"

namespace blalm::bench {
namespace {

using kernels::onednn::LinearProduct;

constexpr std::array kNames = {"forward", "input gradient", "weight gradient"};

void count(std::vector<StepProduct>& products, const LinearShape& shape, std::int64_t times) {
  for (StepProduct& p : products) {
    if (p.shape != shape) continue;
    p.count += times;
    return;
  }
  products.push_back({shape, times, 0});
}

// Rows of a product may be computed in blocks, whose results stay in the cache: the faster of both ways counts.
// A weight's gradient sums over rows and stays whole.
double best_seconds(const LinearShape& shape, std::int64_t repeats) {
  double best = 0;
  for (const std::int64_t block : {std::int64_t{512}, std::int64_t{4096}}) {
    LinearShape part = shape;
    const bool whole = shape.product == LinearProduct::weight_gradient;
    if (!whole) part.rows = std::min(shape.rows, block);
    const double blocks = static_cast<double>(shape.rows) / static_cast<double>(part.rows);
    const double seconds = blocks * spread(kernels::onednn::time_best_matmul(part, repeats)).median;
    if (best == 0 || seconds < best) best = seconds;
    if (part.rows == shape.rows) break;
  }
  return best;
}

}  // namespace

std::vector<StepProduct> step_products(const LanguageModel& model, const Workload& w) {
  const ModelConfig& c = model.config();
  const std::int64_t passes = w.batch / w.micro_batch;
  const DType operand = w.run_precision().operand;
  std::vector<StepProduct> products;
  const auto layer = [&](std::int64_t rows, std::int64_t out, std::int64_t in, bool wide) {
    const DType result = wide ? DType::f32 : operand;
    count(products, {LinearProduct::forward, rows, in, out, operand, result}, passes);
    count(products, {LinearProduct::input_gradient, rows, in, out, operand, operand}, passes);
    count(products, {LinearProduct::weight_gradient, rows, in, out, operand, DType::f32}, passes);
  };
  for (const ShapedParameter& p : model.shaped_parameters()) {
    const bool linear = p.parameter->role == Role::matrix || p.parameter->role == Role::gate;
    // A feature map has a matrix that is as wide as a head.
    if (!linear || p.shape.rank() != 2 || p.shape.dim(1) < c.hidden_size) continue;
    layer(w.micro_batch * (w.seq + c.meta_tokens()), p.shape.dim(0), p.shape.dim(1), p.parameter->role == Role::gate);
  }
  layer(w.micro_batch * w.seq, c.vocab_size, c.hidden_size, true);
  return products;
}

std::optional<MatmulFloor> measure_floor(std::vector<StepProduct> products, std::int64_t repeats) {
  MatmulFloor floor;
  for (StepProduct& p : products) {
    if (kernels::onednn::best_matmul_unavailable(p.shape.operand) != nullptr) return {};
    p.seconds = best_seconds(p.shape, repeats);
    floor.seconds += static_cast<double>(p.count) * p.seconds;
    floor.flops += static_cast<double>(p.count) * p.shape.flops();
  }
  floor.products = std::move(products);
  return floor;
}

nlohmann::ordered_json to_json(const std::vector<StepProduct>& products) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const StepProduct& p : products)
    list.push_back({{"product", kNames[static_cast<std::size_t>(p.shape.product)]},
                    {"rows", p.shape.rows},
                    {"in", p.shape.in},
                    {"out", p.shape.out},
                    {"operand", name_of(p.shape.operand)},
                    {"result", name_of(p.shape.result)},
                    {"count", p.count},
                    {"seconds", p.seconds},
                    {"gflops_per_second", p.shape.flops() / p.seconds / 1e9}});
  return list;
}

}  // namespace blalm::bench
