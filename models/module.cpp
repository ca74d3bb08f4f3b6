#include "models/module.h"

namespace blalm {
namespace {

std::string join(const std::string& path, std::string_view name) {
  return path.empty() ? std::string(name) : path + "." + std::string(name);
}

void collect(const Module& module, std::vector<ShapedParameter>& all) {
  all.insert(all.end(), module.own_parameters().begin(), module.own_parameters().end());
  for (const Module* child : module.children()) collect(*child, all);
}

}  // namespace

Module::Module(const BuildOptions& options)
    : root_(std::make_unique<Assembly>(Assembly{options, {}})), assembly_(root_.get()) {}

Module::Module(Module& parent, std::string name)
    : assembly_(parent.assembly_), name_(std::move(name)), path_(join(parent.path_, name_)) {
  parent.children_.push_back(this);
}

std::vector<ShapedParameter> Module::shaped_parameters() const {
  std::vector<ShapedParameter> all;
  collect(*this, all);
  return all;
}

std::vector<Parameter*> Module::parameters() {
  std::vector<Parameter*> all;
  for (const ShapedParameter& s : shaped_parameters()) all.push_back(s.parameter);
  return all;
}

std::vector<const Parameter*> Module::parameters() const {
  std::vector<const Parameter*> all;
  for (const ShapedParameter& s : shaped_parameters()) all.push_back(s.parameter);
  return all;
}

Parameter& Module::add_parameter(std::string_view name, const Shape& shape, Role role, const Init& init) {
  const BuildOptions& options = assembly_->options;
  Parameter& p = own_.emplace_back();
  p.name = join(path_, name);
  p.role = role;
  if (options.values != Values::none) p.value = Tensor::empty(shape, options.dtype);
  if (options.values == Values::drawn) init(Rng(options.seed, stream_of(p.name)), p.value);
  shaped_.push_back({&p, shape});
  return p;
}

int Module::add_state(std::string_view name, const Shape& shape, bool wide, bool growing) {
  assembly_->slots.push_back({join(path_, name), shape, wide, growing});
  return static_cast<int>(assembly_->slots.size()) - 1;
}

}  // namespace blalm
