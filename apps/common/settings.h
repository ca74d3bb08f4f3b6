// Settings from a TOML file and from flags, for everything that describes its fields (core/fields.h).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/common/options.h"
#include "engine/core/fields.h"

namespace blalm {

// A setting on its way to a field: path, value, and where it came from, for errors.
struct Setting {
  std::string path;    // "optim.lr"
  std::string value;   // as text; of several values for messages only, as join_list gives them
  std::string origin;  // "run.toml:7" or "--optim.lr"
  std::optional<std::vector<std::string>> items{};  // several values: a TOML list, or a flag given again
};

// All settings of a TOML file, flattened: [optim] lr = 1e-3 gives optim.lr. DataError when it cannot be read,
// ConfigError "FILE:LINE: …" for what is not TOML or not a value that a field can hold (dates, nested lists).
std::vector<Setting> read_settings(const std::filesystem::path& file);

// Takes "--section.key value" and "--section.key=value" out of the arguments for every path of `fields` (and anything
// with a dot in it, which then is an unknown key). A flag for a list that is given again adds to it. ConfigError when a
// value is missing.
std::vector<Setting> take_flags(std::vector<std::string>& arguments, const Fields& fields);

// Sets the fields. One value is one text, whatever is in it; only a list of files may be given in one text, as
// files_named() says, which is told on standard error. An unknown key is a ConfigError with the nearest known one;
// errors name the origin.
void apply_settings(const std::vector<Setting>& settings, const Fields& fields);

// The fields as commented TOML, which read_settings reads back to the same values; only those that are `wanted`.
std::string to_toml(const Fields& fields, const std::function<bool(const Field&)>& wanted = {});

// The value of the last setting of this path, which is removed; `fallback` when there is none.
std::string take(std::vector<Setting>& settings, const std::string& path, const std::string& fallback);

// For --help: one line a field, "--optim.lr X   peak learning rate (0.001)". N stands for an integer, X for a number,
// BOOL for true or false. Only those that are `wanted`.
std::string fields_help(const Fields& fields, const std::function<bool(const Field&)>& wanted = {});
// Puts them onto a page, after the title.
void add_settings(HelpPage& page, const std::string& title, const Fields& fields,
                  const std::function<bool(const Field&)>& wanted = {});

}  // namespace blalm
