// What an operation uses to run and to stand on the tape. Its life is one call:
//
//   Op op("scale", {x}, where);
//   Tensor y = Tensor::empty(x.shape(), x.dtype());
//   op.ran(kernels::scale({x.value(), y, factor}));
//   return op.finish(y, {}, [factor](Backward& back) { … });
#pragma once

#include <chrono>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

#include "engine/autograd/tape.h"

namespace blalm {

class Op {
 public:
  // Finds the tape of the inputs. Throws ConfigError when they stand on different tapes or on a cleared one.
  Op(std::string_view name, std::initializer_list<Var> inputs, Location where) : Op(name, std::span(inputs), where) {}
  Op(std::string_view name, std::span<const Var> inputs, Location where);

  // Whether a node will be recorded: save nothing extra when it will not.
  bool recording() const { return tape_ != nullptr; }
  // Records on this tape even when no input asks for a gradient (recompute: its parameters may).
  void record_on(Tape& tape);

  void ran(std::string_view implementation) { implementation_ = implementation; }
  void flops(double n) { flops_ = n; }

  // A result that is cheap to make again from what this operation saves: later nodes of the tape that save it keep
  // nothing, and `remake` runs when the reverse sweep reaches the first of them. It must give the same bits.
  void remakes(RemakeFunction remake, int output = 0) {
    remake_ = std::move(remake);
    remade_output_ = output;
  }

  // The result. `saved` reaches the backward function as back.saved(0), back.saved(1), …
  Var finish(Tensor output, std::vector<Tensor> saved, BackwardFunction backward);
  std::vector<Var> finish(std::span<const Tensor> outputs, std::vector<Tensor> saved, BackwardFunction backward);

 private:
  std::string_view name_;
  std::vector<NodeInput> inputs_;
  Location where_;
  Tape* tape_ = nullptr;
  std::string_view implementation_ = "reference";
  double flops_ = 0;
  RemakeFunction remake_;
  int remade_output_ = 0;
  std::chrono::steady_clock::time_point start_;
  // Inputs that other nodes can make again.
  struct Remakable {
    const void* data;
    std::int64_t bytes;
    NodeId maker;
  };
  std::vector<Remakable> remakable_;
};

// What a node's backward function sees.
class Backward {
 public:
  // Gradient of an output; zeros where none arrived.
  const Tensor& dout(int output = 0);
  bool has_dout(int output = 0) const;
  // Whether the gradient of an input is asked for: compute no other.
  bool want(int input) const;
  // A tensor saved in the forward pass, or made again. NumericError, naming both places, when it was written since.
  const Tensor& saved(int index);
  // The same, taken away from the node: given on as a gradient of a parameter, its memory becomes the gradient's.
  Tensor take_saved(int index);
  // Adds to the gradient of an input. Ignored when not wanted.
  void give(int input, Tensor gradient);
  // A buffer to write the gradient of a wanted input into: to overwrite when add is false, to add to when it is true.
  struct Slot {
    Tensor buffer;
    bool add = false;
  };
  Slot slot(int input);

 private:
  friend class Tape;
  Backward(Tape& tape, NodeId node, bool observed) : tape_(tape), id_(node), observed_(observed) {
    if (observed) given_.resize(this->node().inputs.size());
  }
  const Node& node() const { return tape_.nodes_[static_cast<std::size_t>(id_)]; }

  Tape& tape_;
  NodeId id_;
  bool observed_;                // by hooks: gradients stay apart, in given_
  std::vector<Tensor> given_;    // one an input
  std::vector<Tensor> zeros_;    // stand-ins for missing output gradients
  double remaking_seconds_ = 0;  // spent for other nodes, in saved()
};

}  // namespace blalm
