// train.init: a new run that begins with the weights of a model (fine-tuning, a curriculum).
#pragma once

#include <vector>

#include "apps/common/run_config.h"
#include "apps/common/settings.h"
#include "data/tokenizer/tokenizer.h"

namespace blalm {

// Makes the configuration that of the model in train.init, a model folder or a run folder: its shape, and its tokenizer
// where text is to be prepared. `given` is what the user set: ConfigError, naming setting and model, for one that
// contradicts the model; errors of reading its folder.
void take_initial_model(RunConfig& config, const std::vector<Setting>& given);

// ConfigError when the data has another tokenizer than the model in train.init.
void require_tokenizer_of_model(const RunConfig& config, const Tokenizer& tokenizer);

}  // namespace blalm
