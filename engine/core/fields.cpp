#include "engine/core/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <optional>

#include "engine/core/error.h"

namespace blalm {
namespace {

template <class T>
std::optional<T> parse(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional<T>(value) : std::nullopt;
}

// "12", "100k", "1.5M" as an integer that a double holds exactly; nothing when it is none.
template <class T>
std::optional<T> parse_integer(std::string_view text) {
  if (const auto plain = parse<T>(text)) return plain;
  double factor = 1;
  if (text.ends_with('k')) factor = 1e3;
  if (text.ends_with('M')) factor = 1e6;
  if (factor > 1) text.remove_suffix(1);
  const auto number = parse<double>(text);
  if (!number || !std::isfinite(*number)) return {};
  const double value = *number * factor;
  if (value != std::floor(value) || std::abs(value) > 9e15 || (std::is_unsigned_v<T> && value < 0)) return {};
  return static_cast<T>(value);
}

// "5%" where a number is meant: the hint that it is 0.05.
std::string share_of_percentage(std::string_view text) {
  const auto value = text.ends_with('%') ? parse<double>(text.substr(0, text.size() - 1)) : std::nullopt;
  return value && std::isfinite(*value) ? fmt::format("did you mean {:.6g}?", *value / 100) : "";
}

// Insertions, deletions and replacements that make b of a.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// Nothing when that is too far to be a slip: of a short name half is kept, so that base is no misspelt huge.
std::optional<std::size_t> distance_of_slip(std::string_view name, std::string_view candidate) {
  const std::size_t limit = std::min(std::max<std::size_t>(3, name.size() / 3), name.size() / 2);
  if (std::max(name.size(), candidate.size()) - std::min(name.size(), candidate.size()) > limit) return {};
  const std::size_t distance = edit_distance(name, candidate);
  return distance <= limit ? std::optional(distance) : std::nullopt;
}

struct Path {
  std::string_view section, key;
};
Path split_path(std::string_view path) {
  const std::size_t dot = path.rfind('.');
  return dot == std::string_view::npos ? Path{"", path} : Path{path.substr(0, dot), path.substr(dot + 1)};
}

// The key has to be near whatever its section is: that both stand in [train] makes no train.run of train.lr. Another
// section costs little, for optim.lr is what train.lr means.
std::optional<std::size_t> distance_of_paths(std::string_view name, std::string_view candidate) {
  const Path given = split_path(name), known = split_path(candidate);
  const auto key = distance_of_slip(given.key, known.key);
  if (!key) return {};
  return *key + std::min<std::size_t>(2, edit_distance(given.section, known.section));
}

}  // namespace

void Field::check_number(double value, std::string_view text) const {
  if (std::isfinite(value) && (exclusive_minimum ? value > minimum : value >= minimum) && value <= maximum) return;
  std::string range = "a finite number";
  if (std::isfinite(minimum))
    range = fmt::format("{} {}", exclusive_minimum ? "a number above" : "a number of at least", minimum);
  if (std::isfinite(maximum)) range += fmt::format("{} at most {}", std::isfinite(minimum) ? " and" : ", of", maximum);
  throw ConfigError(expected_got(path(), range, text));
}

namespace {

void check_items(const Field& field, const std::vector<std::string>& items) {
  for (const std::string& item : items)
    if (item.find('\0') != item.npos) throw ConfigError(expected_got(field.path(), "texts without zero bytes", item));
}

}  // namespace

void Field::set(std::string_view text) const {
  const auto refuse = [&](std::string_view expected, std::string_view hint = {}) {
    throw ConfigError(expected_got(path(), fmt::format("{}{}", expected, may_be_automatic() ? " or auto" : ""),
                                   text.empty() ? "nothing" : text, hint));
  };
  if (may_be_automatic() && text == kAutomatic) {
    *automatic_ = true;
    return;
  }
  switch (kind) {
    case FieldKind::integer: {
      const auto value = parse_integer<std::int64_t>(text);
      const auto wide = parse_integer<std::uint64_t>(text);
      if (!value && !wide) refuse("a whole number");
      check_number(value ? static_cast<double>(*value) : static_cast<double>(*wide), text);
      break;
    }
    case FieldKind::real: {
      const auto value = parse<double>(text);
      if (!value) refuse("a number", share_of_percentage(text));
      check_number(*value, text);
      break;
    }
    case FieldKind::amount: {
      const auto value = parse<double>(text.ends_with('%') ? text.substr(0, text.size() - 1) : text);
      if (!value) refuse("a number or a percentage");
      if (text.ends_with('%') && *value > 100) refuse("at most 100%");
      if (counts && !text.ends_with('%') && *value != std::floor(*value))
        refuse("a whole number or a percentage", *value > 0 && *value < 1 ? percentage_of_share(*value) : "");
      check_number(*value, text);
      break;
    }
    case FieldKind::boolean:
      if (text != "true" && text != "false") refuse("true or false");
      break;
    case FieldKind::text:
      if (text.find('\0') != std::string_view::npos) refuse("a text without zero bytes");
      if (!choices.empty() && std::ranges::find(choices, text) == choices.end())
        refuse(fmt::format("one of {}", fmt::join(choices, ", ")));
      break;
    case FieldKind::texts: check_items(*this, {std::string(text)}); break;
  }
  write(text);
  if (may_be_automatic()) *automatic_ = false;
}

void Field::set_items(const std::vector<std::string>& items) const {
  if (!write_items) throw ConfigError(expected_got(path(), "one value", fmt::format("a list of {}", items.size())));
  check_items(*this, items);
  write_items(items);
}

Field& Fields::add(std::string key, std::int64_t& value, std::string help) {
  Field& f = list_.emplace_back(section_, std::move(key), FieldKind::integer, std::move(help));
  f.read = [&value] { return fmt::format("{}", value); };
  f.write = [&value, path = f.path()](std::string_view text) {
    const auto parsed = parse_integer<std::int64_t>(text);
    if (!parsed) throw ConfigError(expected_got(path, "a number below 2^63", text));
    value = *parsed;
  };
  return f;
}

Field& Fields::add(std::string key, std::uint64_t& value, std::string help) {
  Field& f = list_.emplace_back(section_, std::move(key), FieldKind::integer, std::move(help));
  f.at_least(0);
  f.read = [&value] { return fmt::format("{}", value); };
  f.write = [&value](std::string_view text) { value = parse_integer<std::uint64_t>(text).value(); };
  return f;
}

Field& Fields::add(std::string key, double& value, std::string help) {
  Field& f = list_.emplace_back(section_, std::move(key), FieldKind::real, std::move(help));
  f.read = [&value] { return fmt::format("{}", value); };
  f.write = [&value](std::string_view text) { value = *parse<double>(text); };
  return f;
}

Field& Fields::add(std::string key, bool& value, std::string help) {
  Field& f = list_.emplace_back(section_, std::move(key), FieldKind::boolean, std::move(help));
  f.read = [&value] { return std::string(value ? "true" : "false"); };
  f.write = [&value](std::string_view text) { value = text == "true"; };
  return f;
}

Field& Fields::add(std::string key, std::string& value, std::string help) {
  Field& f = list_.emplace_back(section_, std::move(key), FieldKind::text, std::move(help));
  f.read = [&value] { return value; };
  f.write = [&value](std::string_view text) { value = text; };
  return f;
}

Field& Fields::add(std::string key, Amount& value, std::string help) {
  Field& f = list_.emplace_back(section_, std::move(key), FieldKind::amount, std::move(help));
  f.at_least(0);
  f.read = [&value] { return fmt::format("{}{}", value.value, value.percent ? "%" : ""); };
  f.write = [&value](std::string_view text) {
    const bool percent = text.ends_with('%');
    value = {*parse<double>(percent ? text.substr(0, text.size() - 1) : text), percent};
  };
  return f;
}

Field& Fields::add(std::string key, std::vector<std::string>& value, std::string help) {
  Field& f = list_.emplace_back(section_, std::move(key), FieldKind::texts, std::move(help));
  f.read = [&value] { return join_list(value); };
  f.write = [&value](std::string_view text) {
    value.clear();
    if (!text.empty()) value.emplace_back(text);
  };
  f.read_items = [&value] { return value; };
  f.write_items = [&value](const std::vector<std::string>& items) { value = items; };
  return f;
}

void Fields::append(Fields other) {
  for (Field& f : other.list_) list_.push_back(std::move(f));
}

Fields Fields::without(std::span<const std::string_view> keys) const {
  Fields rest;
  std::ranges::copy_if(list_, std::back_inserter(rest.list_),
                       [&](const Field& f) { return std::ranges::find(keys, f.key) == keys.end(); });
  return rest;
}

const Field& Fields::at(std::string_view path) const {
  std::vector<std::string> paths;
  for (const Field& f : list_) {
    if (f.path() == path) return f;
    paths.push_back(f.path());
  }
  const std::string near = nearest(path, paths);
  throw ConfigError(expected_got("config", "a known key", path, near.empty() ? "" : "did you mean " + near + "?"));
}

std::string percentage_of_share(double share) { return fmt::format("did you mean {:.6g}%?", 100 * share); }

std::string join_list(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) {
    if (&item != &items.front()) text += ',';
    for (const char c : item) {
      if (c == ',' || c == '\\') text += '\\';
      text += c;
    }
  }
  return text;
}

std::string nearest(std::string_view name, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = std::string::npos;
  for (const std::string& c : candidates) {
    const std::optional<std::size_t> distance = distance_of_paths(name, c);
    if (!distance || *distance >= best_distance) continue;
    best_distance = *distance;
    best = c;
  }
  return best;
}

}  // namespace blalm
