#include "apps/common/settings.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "apps/common/output.h"
#include "apps/common/toml_text.h"
#include "apps/common/wrap.h"
#include "data/text/sources.h"
#include "engine/core/error.h"
#include "engine/io/mapped_file.h"

namespace blalm {
namespace {

std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return from_toml_string(text->get());
  if (const auto* number = node.as_integer()) return fmt::format("{}", number->get());
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* flag = node.as_boolean()) return std::string(flag->get() ? "true" : "false");
  return {};
}

void flatten(const toml::table& table, const std::string& prefix, const std::string& file,
             std::vector<Setting>& settings) {
  for (const auto& [key, node] : table) {
    const std::string path = prefix.empty() ? std::string(key.str()) : prefix + "." + std::string(key.str());
    const std::string origin = fmt::format("{}:{}", file, node.source().begin.line);
    if (const toml::table* inner = node.as_table()) {
      flatten(*inner, path, file, settings);
      continue;
    }
    if (const toml::array* array = node.as_array()) {
      std::vector<std::string> items;
      for (const toml::node& element : *array) {
        const auto item = scalar_text(element);
        if (!item)
          throw ConfigError(expected_got(origin, fmt::format("a list of plain values for {}", path), "a nested one"));
        items.push_back(*item);
      }
      settings.push_back({path, join_list(items), origin, items});
      continue;
    }
    const std::optional<std::string> text = scalar_text(node);
    if (!text)
      throw ConfigError(
          expected_got(origin, fmt::format("a text, number, boolean or list for {}", path), "another kind of value"));
    settings.push_back({path, *text, origin});
  }
}

// TOML's integers end below 2^63; larger ones are written as text, which a field takes as well.
bool is_toml_integer(std::string_view text) {
  std::int64_t value = 0;
  return std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
}

std::string toml_value(const Field& field) {
  const std::string text = field.get();
  if (field.is_automatic()) return to_toml_string(text);
  switch (field.kind) {
    case FieldKind::boolean: return text;
    case FieldKind::integer: return is_toml_integer(text) ? text : to_toml_string(text);
    case FieldKind::real: return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
    case FieldKind::amount: return text.ends_with('%') ? to_toml_string(text) : text;
    case FieldKind::text: return to_toml_string(text);
    case FieldKind::texts: {
      std::string list;
      for (const std::string& item : field.items()) list += (list.empty() ? "" : ", ") + to_toml_string(item);
      return "[" + list + "]";
    }
  }
  return text;
}

std::string plain_value_name(const Field& field) {
  if (!field.value_name.empty()) return field.value_name;
  switch (field.kind) {
    case FieldKind::boolean: return "BOOL";
    case FieldKind::integer: return "N";
    case FieldKind::real: return "X";
    case FieldKind::amount: return "N|N%";
    case FieldKind::text: return field.choices.empty() ? "TEXT" : "NAME";
    case FieldKind::texts: return "TEXT";
  }
  return "X";
}

std::string value_name(const Field& field) {
  return plain_value_name(field) + (field.may_be_automatic() ? "|auto" : "");
}

void set_field(const Setting& setting, const Field& field) {
  if (setting.items) return field.set_items(*setting.items);
  if (!field.names_files || setting.value.empty()) return field.set(setting.value);
  const std::vector<std::string> files = files_named(setting.value);
  if (files.size() > 1)
    print_error("blalm: {}: there is no file '{}'; taken for {} files: '{}'\n", setting.origin, setting.value,
                files.size(), fmt::join(files, "', '"));
  field.set_items(files);
}

}  // namespace

std::vector<Setting> read_settings(const std::filesystem::path& path) {
  const MappedFile file(path);
  check_toml(file.text(), path.string());
  std::vector<Setting> settings;
  try {
    flatten(toml::parse(file.text(), path.string()), "", path.string(), settings);
  } catch (const toml::parse_error& e) {
    // Only place and kind: the parser's own words name its internals.
    const auto& at = e.source().begin;
    const bool again = e.description().find("redefin") != std::string_view::npos;
    throw ConfigError(expected_got(fmt::format("{}:{}", path.string(), at.line),
                                   again ? "each key once" : "TOML: [section] and key = value",
                                   fmt::format("{} at column {}", toml_line(file.text(), at.line), at.column)));
  }
  return settings;
}

std::vector<Setting> take_flags(std::vector<std::string>& arguments, const Fields& fields) {
  std::vector<Setting> settings;
  std::vector<std::string> rest;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const std::size_t equals = argument.find('=');
    const std::string path =
        argument.starts_with("--") ? argument.substr(2, equals == std::string::npos ? equals : equals - 2) : "";
    const bool known = std::ranges::any_of(fields.list(), [&](const Field& f) { return f.path() == path; });
    // A space: options in one word, the value of some other option.
    if (path.empty() || path.find(' ') != std::string::npos || (!known && path.find('.') == std::string::npos)) {
      rest.push_back(argument);
      continue;
    }
    if (equals == std::string::npos && i + 1 >= arguments.size()) {
      fields.at(path);  // an unknown key is the better error
      throw ConfigError(expected_got("--" + path, "a value", "the end of the command line"));
    }
    if (equals == std::string::npos) refuse_option_as_value(argument, arguments[i + 1]);
    const std::string value = equals == std::string::npos ? arguments[++i] : argument.substr(equals + 1);
    const auto earlier = std::ranges::find(settings, path, &Setting::path);
    if (known && earlier != settings.end() && fields.at(path).kind == FieldKind::texts) {
      if (!earlier->items) earlier->items = {earlier->value};
      earlier->items->push_back(value);
      earlier->value = join_list(*earlier->items);
    } else {
      settings.push_back({path, value, "--" + path});
    }
  }
  arguments = std::move(rest);
  return settings;
}

void apply_settings(const std::vector<Setting>& settings, const Fields& fields) {
  for (const Setting& s : settings) {
    try {
      set_field(s, fields.at(s.path));
    } catch (const ConfigError& e) {
      if (s.origin.starts_with("--")) throw;
      throw ConfigError(fmt::format("{}: {}", s.origin, e.what()));
    }
  }
}

std::string take(std::vector<Setting>& settings, const std::string& path, const std::string& fallback) {
  std::string value = fallback;
  for (const Setting& s : settings)
    if (s.path == path) value = s.value;
  std::erase_if(settings, [&](const Setting& s) { return s.path == path; });
  return value;
}

std::string to_toml(const Fields& fields, const std::function<bool(const Field&)>& wanted) {
  std::string text, section;
  for (const Field& f : fields.list()) {
    if (wanted && !wanted(f)) continue;
    if (f.section != section) text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", f.section);
    section = f.section;
    const std::string assignment = fmt::format("{} = {}", f.key, toml_value(f));
    text += fmt::format("{:<36} # {}\n", assignment, f.help);
  }
  return text;
}

std::string fields_help(const Fields& fields, const std::function<bool(const Field&)>& wanted) {
  constexpr std::size_t kKeys = 35;
  std::string text;
  for (const Field& f : fields.list()) {
    if (wanted && !wanted(f)) continue;
    std::string value = f.get();
    if (value.size() > 24) value = value.substr(0, 21) + "...";
    const std::string key = fmt::format("  --{} {}", f.path(), value_name(f));
    const std::string help = f.help + (value.empty() ? "" : fmt::format(" ({})", value));
    text += fmt::format("{:<{}}{}\n", key, kKeys, wrapped(help, kKeys));
    if (!f.choices.empty())
      text += fmt::format("{:{}}{}\n", "", kKeys, wrapped(fmt::format("one of {}", fmt::join(f.choices, ", ")), kKeys));
  }
  return text;
}

void add_settings(HelpPage& page, const std::string& title, const Fields& fields,
                  const std::function<bool(const Field&)>& wanted) {
  page.settings = title + "\n" + fields_help(fields, wanted);
  for (const Field& f : fields.list())
    if (!wanted || wanted(f)) page.paths.push_back(f.path());
}

}  // namespace blalm
