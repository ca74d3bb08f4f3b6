#include "apps/bench/matmul_floor.h"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/bench/measure.h"

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

}  // namespace

std::vector<StepProduct> step_products(const LanguageModel& model, const Workload& w) {
  const ModelConfig& c = model.config();
  const std::int64_t passes = w.batch / w.micro_batch;
  const DType operand = precision_of(w.precision).operand;
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

std::string name_of(const LinearShape& shape) { return kNames[static_cast<std::size_t>(shape.product)]; }

MatmulFloor::MatmulFloor(const std::vector<StepProduct>& products) {
  for (const StepProduct& p : products) {
    if (kernels::onednn::best_matmul_unavailable(p.shape.operand) != nullptr) return;
    Product& product = products_.emplace_back(Product{p});
    for (const std::int64_t block : {std::int64_t{512}, std::int64_t{4096}}) {
      LinearShape part = p.shape;
      // A weight's gradient sums over the rows and stays whole.
      if (p.shape.product != LinearProduct::weight_gradient) part.rows = std::min(p.shape.rows, block);
      const double blocks = static_cast<double>(p.shape.rows) / static_cast<double>(part.rows);
      product.ways.push_back({blocks, kernels::onednn::BestMatmul(part)});
      product.ways.back().matmul.run();
      if (part.rows == p.shape.rows) break;
    }
  }
}

void MatmulFloor::run() {
  for (Product& p : products_)
    for (Way& w : p.ways) w.seconds.push_back(w.matmul.run());
}

std::vector<StepProduct> MatmulFloor::products() const {
  std::vector<StepProduct> all;
  for (const Product& p : products_) {
    all.push_back(p.product);
    all.back().seconds = std::numeric_limits<double>::infinity();
    for (const Way& w : p.ways) all.back().seconds = std::min(all.back().seconds, w.blocks * spread(w.seconds).median);
  }
  return all;
}

double MatmulFloor::seconds() const {
  double sum = 0;
  for (const StepProduct& p : products()) sum += static_cast<double>(p.count) * p.seconds;
  return sum;
}

double MatmulFloor::flops() const {
  double sum = 0;
  for (const Product& p : products_) sum += static_cast<double>(p.product.count) * p.product.shape.flops();
  return sum;
}

nlohmann::ordered_json to_json(const std::vector<StepProduct>& products) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const StepProduct& p : products)
    list.push_back({{"product", name_of(p.shape)},
                    {"rows", p.shape.rows},
                    {"in", p.shape.in},
                    {"out", p.shape.out},
                    {"operand", name_of(p.shape.operand)},
                    {"result", name_of(p.shape.result)},
                    {"count", p.count},
                    {"seconds", p.seconds},
                    {"gflops_per_second", p.gflops_per_second()}});
  return list;
}

}  // namespace blalm::bench
