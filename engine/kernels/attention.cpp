#include "blalm/kernels/attention.h"

namespace blalm::kernels {

using tiles::Unit;

const Kernel<AttentionArgs> attention{
    "attention",
    {{"amx:bf16", tiles::no_amx, tiles::declines_attention, tiles::on<Unit::amx, tiles::attention>},
     {"avx512:bf16", tiles::no_avx512, tiles::declines_attention, tiles::on<Unit::avx512, tiles::attention>},
     {"eigen", always, eigen::declines_attention, eigen::attention},
     {"reference", always, accepts_all<AttentionArgs>, reference::attention}}};
const Kernel<AttentionBackwardArgs> attention_backward{
    "attention_backward",
    {{"amx:bf16", tiles::no_amx, tiles::declines_attention_backward, tiles::on<Unit::amx, tiles::attention_backward>},
     {"avx512:bf16", tiles::no_avx512, tiles::declines_attention_backward,
      tiles::on<Unit::avx512, tiles::attention_backward>},
     {"eigen", always, eigen::declines_attention_backward, eigen::attention_backward},
     {"reference", always, accepts_all<AttentionBackwardArgs>, reference::attention_backward}}};

namespace {

// 1 + 2 + … + n; 0 for n <= 0.
std::int64_t sum_to(std::int64_t n) { return n <= 0 ? 0 : n * (n + 1) / 2; }

}  // namespace

std::int64_t visible_pairs(const Band& band, std::int64_t first, std::int64_t queries) {
  // Of the n keys up to its own position, a query sees all but those between the memory and the window: n - width.
  const std::int64_t last = first + queries, width = band.window + band.memory;
  const std::int64_t hidden = band.window == 0 ? 0 : sum_to(last - width) - sum_to(first - width);
  return sum_to(last) - sum_to(first) - hidden;
}

}  // namespace blalm::kernels
