#include "models/config_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/io/json_text.h"

namespace blalm {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kTypeKey = "model_type";
constexpr std::size_t kMostUnknown = 100;  // keys that are named
constexpr const char *kBosKey = "bos_token_id", *kEosKey = "eos_token_id", *kPadKey = "pad_token_id";

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

bool is_text_key(std::string_view key) { return key == kBosKey || key == kEosKey || key == kPadKey; }

// An id, null or, for kEosKey, a list of ids. Empty, and nothing is taken, when it is something else.
std::optional<std::vector<std::int32_t>> token_ids(std::string_view key, const Json& value, std::int64_t vocab_size) {
  std::vector<std::int32_t> ids;
  const auto take = [&](const Json& id) {
    if (!id.is_number_unsigned() || id.get<std::uint64_t>() >= static_cast<std::uint64_t>(vocab_size)) return false;
    ids.push_back(id.get<std::int32_t>());
    return true;
  };
  if (value.is_array() && key == kEosKey) return std::ranges::all_of(value, take) ? std::optional(ids) : std::nullopt;
  return value.is_null() || take(value) ? std::optional(ids) : std::nullopt;
}

// Takes the keys that are there. A problem for each that has no ids of the vocabulary.
void read_text_format(const Json& json, std::int64_t vocab_size, TextFormat& format,
                      std::vector<std::string>& problems) {
  const auto ids_of = [&](const char* key) -> std::vector<std::int32_t> {
    const auto at = json.find(key);
    if (at == json.end()) return {};
    const std::optional<std::vector<std::int32_t>> ids = token_ids(key, *at, vocab_size);
    if (!ids)
      problems.push_back(fmt::format("{} is {}, not {}null or an id below vocab_size = {}", key, json_beginning(*at),
                                     key == kEosKey ? "a list of ids, " : "", vocab_size));
    return ids.value_or(std::vector<std::int32_t>());
  };
  const auto first = [](const std::vector<std::int32_t>& ids) {
    return ids.empty() ? std::nullopt : std::optional(ids[0]);
  };
  format.declared = json.contains(kBosKey) || json.contains(kEosKey);
  format.bos = first(ids_of(kBosKey));
  format.eos = ids_of(kEosKey);
  format.pad = first(ids_of(kPadKey));
}

std::string unknown_key(const std::string& key, const std::vector<Field>& fields) {
  std::vector<std::string> known;
  for (const Field& f : fields) known.push_back(f.key);
  const std::string near = nearest(key, known);
  return fmt::format("unknown key {}{}", utf8::beginning(key, 60),
                     near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
}

}  // namespace

std::string to_json(const ModelConfig& config, const TextFormat& format) {
  ModelConfig copy = config;
  const Fields fields = copy.fields();
  nlohmann::ordered_json json;
  json[std::string(kTypeKey)] = kModelType;
  for (const Field& f : fields.list()) json[f.key] = f.kind == FieldKind::text ? Json(f.get()) : Json::parse(f.get());
  if (format.declared) {
    json[kBosKey] = format.bos ? Json(*format.bos) : Json();
    json[kEosKey] = format.eos.empty() ? Json() : format.eos.size() == 1 ? Json(format.eos[0]) : Json(format.eos);
    json[kPadKey] = format.pad ? Json(*format.pad) : Json();
  }
  return json.dump(2) + "\n";
}

std::optional<ModelConfig> config_from_json(std::string_view text, std::vector<std::string>& problems,
                                            TextFormat* format) {
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
    if (key == kTypeKey || is_text_key(key)) continue;
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
  TextFormat unasked;
  read_text_format(json, config.vocab_size, format != nullptr ? *format : unasked, problems);
  return config;
}

ModelConfig config_from_json(std::string_view text, std::string_view where) {
  std::vector<std::string> problems;
  const std::optional<ModelConfig> config = config_from_json(text, problems);
  if (!problems.empty()) throw FormatError(fmt::format("[{}] {}", where, fmt::join(problems, "; ")));
  return *config;
}

}  // namespace blalm
