#include "apps/train/memory.h"

#include <fmt/format.h>

#include "apps/common/gradients.h"
#include "apps/common/machine.h"
#include "apps/common/progress.h"
#include "engine/core/error.h"
#include "models/language_model.h"

namespace blalm {

void require_memory(const RunConfig& config) {
  ModelConfig c = config.model;
  if (config.data.tokenizer.empty()) c.vocab_size = config.data.vocab_size;
  const LanguageModel model(c, {.values = Values::none});
  double parameters = 0;
  for (const auto& [parameter, shape] : model.shaped_parameters()) parameters += static_cast<double>(shape.numel());
  constexpr double kFloat = 4, kHalf = 2;
  // At least, and as settings that nobody set will be chosen.
  const bool is_muon = config.optim.optimizer.automatic || config.optim.optimizer == OptimizerKind::muon;
  const double moments = is_muon ? 1 : 2;
  const std::int64_t micro_batch =
      config.train.micro_batch > 0 ? config.train.micro_batch : usual_micro_batch(config.train.batch, config.data.seq);
  const double state = parameters * kFloat * (2 + moments);
  const double inputs = static_cast<double>(micro_batch) * static_cast<double>(config.data.seq) *
                        static_cast<double>(c.hidden_size) * static_cast<double>(c.num_hidden_layers) * kHalf;
  const auto memory = static_cast<double>(memory_bytes());
  if (state + inputs <= memory) return;
  throw ConfigError(expected_got(
      "memory", fmt::format("a run within the {}B of this machine", human_count(memory)),
      fmt::format("{}B for {} parameters with gradients and optimiser, and {}B for the inputs of the layers",
                  human_count(state), human_count(parameters), human_count(inputs)),
      state > inputs ? "a smaller model" : "a smaller train.micro_batch or data.seq"));
}

}  // namespace blalm
