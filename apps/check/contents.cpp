#include "apps/check/contents.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/core/error.h"

namespace blalm::check {
namespace {

bool is_integer(std::string_view dtype) { return dtype.starts_with('I') || dtype.starts_with('U'); }

}  // namespace

std::string name_of(const SafetensorsFile& file) { return file.path().filename().string(); }

std::vector<std::string> names_under(const SafetensorsFile& file, std::string_view prefix) {
  std::vector<std::string> names;
  for (const auto& [name, info] : file.tensors())
    if (name.starts_with(prefix)) names.push_back(name.substr(prefix.size()));
  return names;
}

Shape Contents::shape_of(const std::string& name) { return file_.contains(name) ? file_.info(name).shape : Shape{}; }

void Contents::expect(const std::string& name, const Shape& shape, bool integers) {
  known_.insert(name);
  if (!file_.contains(name)) {
    problem(fmt::format("tensor {} is missing", name));
    return;
  }
  const SafetensorsInfo& info = file_.info(name);
  if (info.shape != shape)
    problem(fmt::format("tensor {} is {}, not {}", name, info.shape.str(), shape.str()));
  else if (is_integer(info.dtype) != integers)
    problem(
        fmt::format("tensor {} holds {}, not {}", name, info.dtype, integers ? "integers" : "floating-point numbers"));
}

void Contents::finish() {
  for (const auto& [name, info] : file_.tensors())
    if (!known_.contains(name)) problem(fmt::format("tensor {} has no place in it", name));
  if (!problems_.empty()) throw FormatError(fmt::format("[check] {}: {}", name_of(file_), fmt::join(problems_, "; ")));
}

}  // namespace blalm::check
