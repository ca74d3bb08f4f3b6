#include "blalm/models/config_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blalm/core/error.h"
#include "blalm/core/utf8.h"
#include "blalm/io/json_text.h"

namespace blalm {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kTypeKey = "model_type";
constexpr std::size_t kMostUnknown = 100;  // keys that are named

// What the reference's Config has: every model folder says these.
constexpr std::string_view kRequired[] = {"vocab_size",          "hidden_size",         "num_hidden_layers",
                                          "num_attention_heads", "intermediate_size",   "rms_norm_eps",
                                          "rope_theta",          "tie_word_embeddings", "mixer",
                                          "conv_kernel",         "swa_window",          "swa_memory",
                                          "swa_modulation",      "feature_map",         "gate_soft_cap",
                                          "mlstm_eps",           "chunk_size"};

bool fits(const Json& value, FieldKind kind) {
  switch (kind) {
    case FieldKind::integer:
    case FieldKind::real: return value.is_number();
    case FieldKind::boolean: return value.is_boolean();
    default: return value.is_string();
  }
}

std::string_view type_of(FieldKind kind) {
  switch (kind) {
    case FieldKind::integer:
    case FieldKind::real: return "a number";
    case FieldKind::boolean: return "true or false";
    default: return "a string";
  }
}

std::string unknown_key(const std::string& key, const std::vector<Field>& fields) {
  std::vector<std::string> known;
  for (const Field& f : fields) known.push_back(f.key);
  const std::string near = nearest(key, known);
  return fmt::format("unknown key {}{}", utf8::beginning(key, 60),
                     near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
}

}  // namespace

std::string to_json(const ModelConfig& config) {
  ModelConfig copy = config;
  const Fields fields = copy.fields();
  nlohmann::ordered_json json;
  json[std::string(kTypeKey)] = kModelType;
  for (const Field& f : fields.list()) json[f.key] = f.kind == FieldKind::text ? Json(f.get()) : Json::parse(f.get());
  return json.dump(2) + "\n";
}

std::optional<ModelConfig> config_from_json(std::string_view text, std::vector<std::string>& problems) {
  Json json;
  try {
    json = parse_json(text, "config.json", kSmallJson);
  } catch (const FormatError& error) {
    problems.emplace_back(error.what());
    return {};
  }
  if (!json.is_object()) {
    problems.push_back(expected_got("config.json", "a JSON object", json_beginning(json)));
    return {};
  }
  ModelConfig config;
  const Fields fields = config.fields();
  bool usable = true;
  const auto fault = [&](std::string problem) {
    problems.push_back(std::move(problem));
    usable = false;
  };
  if (const auto type = json.find(kTypeKey); type != json.end() && *type != kModelType)
    fault(fmt::format("model_type is {}, not \"{}\"", json_beginning(*type), kModelType));
  std::size_t unknown = 0;
  for (const auto& [key, value] : json.items()) {
    if (key == kTypeKey) continue;
    const auto field = std::ranges::find(fields.list(), key, &Field::key);
    if (field == fields.list().end()) {
      if (++unknown <= kMostUnknown) problems.push_back(unknown_key(key, fields.list()));
    } else if (!fits(value, field->kind)) {
      fault(fmt::format("{} is {}, not {}", key, json_beginning(value), type_of(field->kind)));
    } else {
      try {
        field->set(value.is_string() ? value.get<std::string>() : value.dump());
      } catch (const ConfigError& e) {
        fault(e.what());
      }
    }
  }
  if (unknown > kMostUnknown) problems.push_back(fmt::format("{} more unknown keys", unknown - kMostUnknown));
  for (const std::string_view key : kRequired)
    if (!json.contains(key)) fault(fmt::format("key {} is missing", key));
  if (!usable) return {};
  try {
    config.validate();
  } catch (const ConfigError& e) {
    problems.emplace_back(e.what());
    return {};
  }
  return config;
}

ModelConfig config_from_json(std::string_view text, std::string_view where) {
  std::vector<std::string> problems;
  const std::optional<ModelConfig> config = config_from_json(text, problems);
  if (!problems.empty()) throw FormatError(fmt::format("[{}] {}", where, fmt::join(problems, "; ")));
  return *config;
}

}  // namespace blalm
