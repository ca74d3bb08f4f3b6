#include "blalm/models/config_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "blalm/core/error.h"

namespace blalm {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kTypeKey = "model_type";

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
  return fmt::format("unknown key {}{}", key, near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
}

}  // namespace

std::string to_json(const ModelConfig& config) {
  ModelConfig copy = config;
  const Fields fields = copy.fields();
  Json json;
  json[std::string(kTypeKey)] = kModelType;
  for (const Field& f : fields.list()) json[f.key] = f.kind == FieldKind::text ? Json(f.get()) : Json::parse(f.get());
  return json.dump(2) + "\n";
}

ModelConfig config_from_json(std::string_view text, std::vector<std::string>& problems) {
  ModelConfig config;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) {
    problems.emplace_back("config.json is not a JSON object");
    return config;
  }
  const std::size_t before = problems.size();
  const Fields fields = config.fields();
  for (const auto& [key, value] : json.items()) {
    if (key == kTypeKey) {
      if (value != kModelType)
        problems.push_back(fmt::format("model_type is {}, not \"{}\"", value.dump(), kModelType));
      continue;
    }
    const auto field = std::ranges::find(fields.list(), key, &Field::key);
    if (field == fields.list().end()) {
      problems.push_back(unknown_key(key, fields.list()));
    } else if (!fits(value, field->kind)) {
      problems.push_back(fmt::format("{} is {}, not {}", key, value.dump(), type_of(field->kind)));
    } else {
      try {
        field->set(value.is_string() ? value.get<std::string>() : value.dump());
      } catch (const ConfigError& e) {
        problems.emplace_back(e.what());
      }
    }
  }
  if (problems.size() == before) {
    try {
      config.validate();
    } catch (const ConfigError& e) {
      problems.emplace_back(e.what());
    }
  }
  return config;
}

ModelConfig config_from_json(std::string_view text) {
  std::vector<std::string> problems;
  const ModelConfig config = config_from_json(text, problems);
  if (!problems.empty()) throw ConfigError(fmt::format("[config.json] {}", fmt::join(problems, "; ")));
  return config;
}

}  // namespace blalm
