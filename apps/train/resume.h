// Going on with a run under other settings, and with its data in another place (design §8).
#pragma once

#include <string>
#include <vector>

#include "apps/common/prepared_data.h"
#include "apps/common/settings.h"
#include "apps/train/run_folder.h"

namespace blalm {

// A setting that a run goes on with otherwise than before.
struct ChangedSetting {
  std::string path, before, now;
  OnResume kind;
};

// What `config` leaves to the program is what it was, and what it had no value for has none: not what this machine
// makes of it now. Before it is resolved.
void keep_automatic_values(const RecordedRun& recorded, RunConfig& config);

// Where `config`, made by `given` in order, is other than recorded. ConfigError that lists the settings which are fixed
// (core/fields.h: OnResume), with the ways out.
std::vector<ChangedSetting> changes_on_resume(const RecordedRun& recorded, RunConfig& config,
                                              const std::vector<Setting>& given, const std::filesystem::path& run);

// The data that a run goes on with: its own, RUN/data, which goes wherever the run goes, or that of its settings. Where
// these name another place of the text that the own data was made of, this is made again in RUN/data.check and
// compared. DataError when it is another text, or when the data is in no place that is known.
ReadyData data_on_resume(const DataConfig& config, const std::vector<ChangedSetting>& changes,
                         const std::filesystem::path& run, Progress& progress, void (*stop)());

// DataError, naming the setting, when the data is not that which the run began with.
void require_same_data(const RecordedRun& recorded, const Trainer& trainer);

// The changes in words, a line each, and what another number of steps means for the learning rate.
std::vector<std::string> describe_changes(const RecordedRun& recorded, const std::vector<ChangedSetting>& changes,
                                          Trainer& trainer);

}  // namespace blalm
