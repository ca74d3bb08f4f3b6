// Settings of a run whose text was prepared before: they are those that it was prepared with.
#pragma once

#include <vector>

#include "apps/common/run_config.h"
#include "apps/common/settings.h"

namespace blalm {

// Where data.train is a folder of prepared data, the settings in [data] that shape text become what its data.json says,
// and those that it does not tell are left out of the run's config.toml. `given` is what the user set, in order:
// ConfigError, naming setting, folder and its value, for one that contradicts the folder. What a TOML file says of
// validation text and tokenizer goes with its data.train when a flag names prepared data instead.
void take_prepared_settings(RunConfig& config, const std::vector<Setting>& given);

}  // namespace blalm
