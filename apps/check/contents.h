// What a golden file has to hold, compared with what it holds, before anything is computed from it.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "engine/io/safetensors.h"

namespace blalm::check {

class Contents {
 public:
  explicit Contents(const SafetensorsFile& file) : file_(file) {}

  // A tensor that has to be there, of this shape.
  void floats(const std::string& name, const Shape& shape) { expect(name, shape, false); }
  void integers(const std::string& name, const Shape& shape) { expect(name, shape, true); }
  // The shape of a tensor that has to be there, whatever it is; [] when it is not.
  Shape shape_of(const std::string& name);
  // Anything else that is wrong.
  void problem(std::string text) { problems_.push_back(std::move(text)); }

  // Throws one FormatError that lists all problems, tensors that nothing asked for among them.
  void finish();

 private:
  void expect(const std::string& name, const Shape& shape, bool integers);

  const SafetensorsFile& file_;
  std::set<std::string, std::less<>> known_;
  std::vector<std::string> problems_;
};

// "model-full.safetensors"
std::string name_of(const SafetensorsFile& file);

// The names of tensors "PREFIX…" without the prefix, in order.
std::vector<std::string> names_under(const SafetensorsFile& file, std::string_view prefix);

}  // namespace blalm::check
