#include "blalm/kernels/attention.h"

namespace blalm::kernels {

const Kernel<AttentionArgs> attention{"attention",
                                      {{"amx:bf16", amx::unavailable, amx::declines_attention, amx::attention},
                                       {"eigen", always, eigen::declines_attention, eigen::attention},
                                       {"reference", always, accepts_all<AttentionArgs>, reference::attention}}};
const Kernel<AttentionBackwardArgs> attention_backward{
    "attention_backward",
    {{"amx:bf16", amx::unavailable, amx::declines_attention_backward, amx::attention_backward},
     {"eigen", always, eigen::declines_attention_backward, eigen::attention_backward},
     {"reference", always, accepts_all<AttentionBackwardArgs>, reference::attention_backward}}};

std::int64_t visible_pairs(const Band& band, std::int64_t first, std::int64_t queries) {
  std::int64_t pairs = 0;
  for (std::int64_t i = 0; i < queries; ++i) pairs += band.visible(first + i).count();
  return pairs;
}

}  // namespace blalm::kernels
