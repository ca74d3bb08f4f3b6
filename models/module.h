// The module tree: what owns parameters. A module registers itself with its parent when it is made, so members declared
// in a class are its children in that order:
//
//   struct SwiGlu : Module {
//     SwiGlu(Module& parent, std::string name, const ModelConfig& c)
//         : Module(parent, std::move(name)), up_proj(*this, "up_proj", c.hidden_size, c.intermediate_size) {}
//     Linear up_proj;  // owns the parameter "<path of this>.up_proj.weight"
//   };
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/core/parameter.h"
#include "models/init.h"
#include "models/pass.h"

namespace blalm {

// What the values of new parameters are: drawn, unset memory to be loaded into, or undefined tensors, for a tree that
// is only looked at and takes no memory.
enum class Values { drawn, unset, none };

struct BuildOptions {
  std::uint64_t seed = 0;
  DType dtype = DType::f32;  // of the parameters: f32, or f64 in tests
  Values values = Values::drawn;
};

// A parameter and the shape it has, with or without values.
struct ShapedParameter {
  Parameter* parameter;
  Shape shape;
};

// A tensor that a module keeps from one position to the next while decoding (models/decode.h).
struct StateSlot {
  std::string name;      // "model.layers.0.mlstm.q_conv.last"
  Shape shape;           // of one sequence, without the batch axis; at its largest
  bool wide = false;     // compute dtype (f32 or f64) whatever the precision of the activations
  bool growing = false;  // the first axis has a row a position, from the last one on, up to its size in `shape`, which
                         // is 0 where nothing bounds it; it may have more rows than are in use

  bool unbounded() const { return growing && shape.dim(0) == 0; }
  // Rows of a growing slot that are in use after so many positions.
  std::int64_t rows_at(std::int64_t position) const {
    return unbounded() ? position : std::min(position, shape.dim(0));
  }
};

class Module {
 public:
  explicit Module(const BuildOptions& options);  // a root, without a name
  Module(Module& parent, std::string name);      // parent outlives it
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  const std::string& name() const { return name_; }  // "q_proj"
  const std::string& path() const { return path_; }  // "model.layers.0.mlstm.q_proj"
  const std::vector<Module*>& children() const { return children_; }
  // Of this module alone, and of this module and all below it; in the order of construction.
  const std::vector<ShapedParameter>& own_parameters() const { return shaped_; }
  std::vector<ShapedParameter> shaped_parameters() const;
  std::vector<Parameter*> parameters();
  std::vector<const Parameter*> parameters() const;
  // All slots of the tree that this module is part of.
  const std::vector<StateSlot>& state_slots() const { return assembly_->slots; }

  // Floating-point operations a token of the forward pass over sequences of `length`, without those of children.
  virtual double flops(std::int64_t length) const {
    static_cast<void>(length);
    return 0;
  }

  // A parameter "<path>.<name>" of this module. It draws from a random stream of its own, so that its first value does
  // not depend on what else the model has.
  Parameter& add_parameter(std::string_view name, const Shape& shape, Role role, const Init& init);
  // A slot "<path>.<name>"; the result is for Pass::slot().
  int add_state(std::string_view name, const Shape& shape, bool wide = false, bool growing = false);

 protected:
  // While alive, nodes on the tape belong to this module.
  Scope enter(Pass& pass) const { return Scope(pass.tape, name_); }

 private:
  // What the modules of one tree share.
  struct Assembly {
    BuildOptions options;
    std::vector<StateSlot> slots;
  };

  std::unique_ptr<Assembly> root_;  // of a root
  Assembly* assembly_;
  std::string name_, path_;
  std::vector<Module*> children_;
  std::deque<Parameter> own_;
  std::vector<ShapedParameter> shaped_;  // the same, one for one
};

}  // namespace blalm
