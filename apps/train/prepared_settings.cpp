#include "apps/train/prepared_settings.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/shards/prepared.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

// The last setting of this path, which holds; null when there is none.
const Setting* last_of(const std::vector<Setting>& given, std::string_view path) {
  const auto at = std::find_if(given.rbegin(), given.rend(), [&](const Setting& s) { return s.path == path; });
  return at == given.rend() ? nullptr : &*at;
}

bool is_flag(const Setting& setting) { return setting.origin.starts_with("--"); }

std::string origin_of(const Setting& setting) {
  return is_flag(setting) ? setting.path : setting.origin + ": " + setting.path;
}

}  // namespace

void take_prepared_settings(RunConfig& config, const std::vector<Setting>& given) {
  if (config.data.train.size() != 1 || !is_prepared(config.data.train[0])) return;
  const std::string folder = config.data.train[0];
  const PreparedData prepared = read_prepared(folder);
  const Fields fields = config.data.fields();
  DataConfig defaults;
  const Fields default_fields = defaults.fields();

  for (const char* path : {"data.valid", "data.tokenizer"}) {
    const Setting *text = last_of(given, path), *train = last_of(given, "data.train");
    const bool overridden = text != nullptr && !is_flag(*text) && train != nullptr && is_flag(*train);
    if (text != nullptr && !text->value.empty() && !overridden)
      throw ConfigError(expected_got(origin_of(*text),
                                     fmt::format("none, for the prepared data '{}' has its own", folder), text->value,
                                     "leave it out"));
    fields.set(path, "");
    config.left_out.push_back(path);
  }

  const std::string vocabulary = std::to_string(prepared.tokenizer.vocab_size);
  std::map<std::string, std::string> known = prepared.settings;
  known["vocab_size"] = vocabulary;
  known["separator"] = name_of(prepared.separator);
  for (const char* key : kTextKeys) {
    const std::string path = std::string("data.") + key;
    const Field& field = fields.at(path);
    const Setting* setting = last_of(given, path);
    const auto value = known.find(key);
    if (value == known.end()) {  // it had validation files, or an older program prepared it
      if (setting != nullptr)
        throw ConfigError(expected_got(origin_of(*setting),
                                       fmt::format("none, for the prepared data '{}' tells of none", folder),
                                       field.get(), "leave it out, or prepare the text again"));
      field.set(default_fields.at(path).get());
      config.left_out.push_back(path);
      continue;
    }
    // A vocabulary may have come out smaller than it was asked for: both are right.
    const auto asked = prepared.settings.find(key);
    const std::string now = field.get();
    if (setting != nullptr && now != value->second && (asked == prepared.settings.end() || now != asked->second))
      throw ConfigError(expected_got(origin_of(*setting),
                                     fmt::format("{}, as in the prepared data '{}'", value->second, folder), now,
                                     "leave it out, or prepare the text again"));
    try {
      field.set(value->second);
    } catch (const ConfigError&) {  // a tokenizer from elsewhere may be smaller than any that is trained here
      field.set(default_fields.at(path).get());
      config.left_out.push_back(path);
    }
  }
}

}  // namespace blalm
