// The tape: a flat vector of nodes in the order in which operations ran. Walking it backwards is the reverse sweep.
// An explicit object, so two models, or two threads, have a tape each:
//
//   Tape tape;
//   Var x = tape.leaf(Tensor::scalar(3.0), "x");
//   Var y = ops::mul(x, x);
//   tape.backward(y);          // tape.grad(x).item() == 6
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/autograd/var.h"
#include "engine/core/parameter.h"
#include "engine/core/rng.h"

namespace blalm {

class Backward;
using NodeId = std::int32_t;
using BackwardFunction = std::function<void(Backward&)>;

// Makes a result of a node again from what the node saved.
using RemakeFunction = std::function<Tensor(Backward&)>;

// A tensor kept for the backward pass, with the version it had: a write in between is an error. Or, with nothing kept,
// the node that makes it again when backward asks for it.
struct SavedTensor {
  Tensor tensor;
  std::uint32_t version = 0;
  NodeId maker = -1;
  Shape shape{};
};

struct NodeInput {
  ValueId id = kConstant;
  Shape shape;
  DType dtype = DType::f32;
  bool given = false;  // false: an optional input that was left out
};

// One operation that ran.
struct Node {
  std::string_view op;              // "rms_norm"
  std::int32_t scope = 0;           // index for Tape::scope_name()
  Location where;                   // source line that called the op
  std::string_view implementation;  // of its kernel, "composed" or "view"
  std::vector<NodeInput> inputs;
  std::vector<ValueId> outputs;
  std::vector<SavedTensor> saved;  // emptied as the reverse sweep passes
  std::int64_t saved_bytes = 0;    // what `saved` held
  double flops = 0;                // of the forward pass
  double forward_seconds = 0;
  double backward_seconds = 0;
  BackwardFunction backward;
  RemakeFunction remake;  // of the result `remade_output`, if nodes that save it need not keep it
  int remade_output = 0;
  std::uint32_t remade_version = 0;  // of that result when the node had run: what was written to since is kept
  Tensor remade;                     // while the reverse sweep needs it
};

// One value that the tape follows.
struct Value {
  Shape shape;
  DType dtype = DType::f32;
  NodeId producer = -1;            // -1: a leaf
  std::string name;                // of a leaf; empty otherwise
  Parameter* parameter = nullptr;  // where the gradient goes, for parameters
  bool reached = false;            // of a parameter: this sweep has brought a gradient
  Tensor grad;
  bool retain = false;  // keep the gradient after the sweep (always for leaves)
};

using GradientHook = std::function<void(Tensor& grad)>;  // may replace the gradient
using ForwardHook = std::function<void(const Tape&, const Node&, std::span<const Tensor> outputs)>;
// What this node alone gives to each of its inputs; undefined where it gives nothing.
using BackwardHook = std::function<void(const Tape&, const Node&, std::span<const Tensor> input_gradients)>;

class Tape {
 public:
  explicit Tape(std::uint64_t seed = 0) : rng_(seed, kTapeStream) { scopes_.emplace_back(); }
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // --- values
  // A value to differentiate with respect to. Its gradient is read with grad().
  Var leaf(Tensor value, std::string name = {});
  // A parameter; asking twice gives the same value. Its gradient is summed into parameter.grad.
  Var parameter(Parameter& parameter);
  // The gradient of a leaf, a parameter or a retained value; undefined if none reached it.
  Tensor grad(const Var& value) const;
  void retain_grad(const Var& value);

  // --- the reverse sweep
  // loss: one element. Runs once; saved tensors are released on the way.
  void backward(const Var& loss);
  // With a gradient for each output (undefined tensors are skipped).
  void backward(std::span<const Var> outputs, std::span<const Tensor> gradients);
  // Forgets nodes and values, keeps hooks and memory: ready for the next step. Older Vars become invalid.
  void clear();

  // --- hooks: run in the order in which they were added, and inside recompute segments too
  // When the value's gradient is complete. A parameter's is the sum in Parameter::grad, if this sweep added to it.
  void on_gradient(const Var& value, GradientHook hook);
  // After the backward of one node: that of an index, or the one that made `output`.
  void on_node(NodeId node, BackwardHook hook);
  void on_node(const Var& output, BackwardHook hook);
  void on_forward(ForwardHook hook);  // after each recorded operation
  // After each node's backward. A node that a hook looks at writes its gradients apart from those that other nodes gave
  // before it, so that where there are several the last bit of their sum may be another.
  void on_backward(BackwardHook hook);
  // The same with gradients as they stand, sums included. Such a hook changes no bit of them.
  void on_backward_sums(BackwardHook hook);

  // --- looking at it
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<Value>& values() const { return values_; }
  const std::string& scope_name(std::int32_t scope) const { return scopes_[static_cast<std::size_t>(scope)]; }
  // Bytes that saved tensors hold now, each storage counted once; parameters are not counted.
  std::int64_t saved_bytes() const;
  // Random numbers for ops such as dropout; recompute replays them.
  Rng& rng() { return rng_; }
  bool recording() const { return no_grad_depth_ == 0; }
  // Whether what runs now belongs to a training step: it is recorded, or it is the first run of a recompute segment,
  // which will be recorded when it runs again. Ops such as dropout act only then.
  bool training() const { return no_grad_depth_ == training_depth_; }

 private:
  friend class NoGrad;
  friend class Op;
  friend class Backward;
  friend class Scope;
  friend class Recompute;
  static constexpr std::uint64_t kTapeStream = 0x7461706500000000ULL;

  Value& value_of(const Var& v, const char* caller);
  const Value& value_of(const Var& v, const char* caller) const;
  // Whether this is the first run of a recompute segment, whose hooks are set when it runs again and is recorded.
  bool rehearsing() const { return training() && !recording(); }
  ValueId id_of(Parameter& parameter);
  // Takes over what a recompute segment knows of a parameter: hooks wait for the gradient to be complete.
  void adopt(Parameter& parameter, bool reached, std::vector<GradientHook> hooks);
  Var add_value(Tensor value, NodeId producer);
  void add_gradient(ValueId id, Tensor gradient);
  void run_node(NodeId id);
  // The result of a node that can make it again; the time is the node's.
  const Tensor& remade(NodeId id);
  void run_gradient_hooks(ValueId id);

  std::vector<Node> nodes_;
  std::vector<Value> values_;
  std::vector<std::string> scopes_;
  std::unordered_map<std::string, std::int32_t> scope_ids_;
  std::int32_t scope_ = 0;
  std::unordered_map<const Parameter*, ValueId> parameters_;
  std::unordered_map<ValueId, std::vector<GradientHook>> gradient_hooks_;
  std::unordered_map<NodeId, std::vector<BackwardHook>> node_hooks_;
  std::vector<ForwardHook> forward_hooks_;
  std::vector<BackwardHook> backward_hooks_, sum_hooks_;
  Rng rng_;
  int no_grad_depth_ = 0;
  int training_depth_ = 0;  // the no_grad_depth_ that counts as training
  Tape* outer_ = nullptr;   // of a recompute segment: the tape that it stands on
  std::uint32_t generation_ = 1;
  bool swept_ = false;
};

// While alive, new nodes belong to this module: names nest, "layers.3" then "mlstm" gives "layers.3.mlstm".
class Scope {
 public:
  Scope(Tape& tape, std::string_view name);
  ~Scope() { tape_.scope_ = outer_; }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

 private:
  Tape& tape_;
  std::int32_t outer_;
};

}  // namespace blalm
