#include "engine/autograd/tape.h"

#include <fmt/format.h>

#include <cassert>
#include <chrono>
#include <unordered_set>

#include "engine/autograd/modes.h"
#include "engine/autograd/op.h"
#include "engine/core/error.h"
#include "engine/kernels/accumulate.h"

namespace blalm {
namespace {

std::size_t index(std::int32_t id) { return static_cast<std::size_t>(id); }

}  // namespace

Var Tape::leaf(Tensor value, std::string name) {
  if (!is_floating(value.dtype())) throw ShapeError(expected_got("tape.leaf", "a floating dtype", value.str()));
  Var v = add_value(std::move(value), -1);
  values_.back().name = std::move(name);
  values_.back().retain = true;
  return v;
}

Var Tape::parameter(Parameter& p) {
  if (!recording() || InferenceMode::active()) return Var(p.value);
  return Var(p.value, this, id_of(p), generation_);
}

ValueId Tape::id_of(Parameter& p) {
  if (auto it = parameters_.find(&p); it != parameters_.end()) return it->second;
  const Var v = leaf(p.value, p.name);
  values_.back().parameter = &p;
  parameters_.emplace(&p, v.id());
  return v.id();
}

void Tape::adopt(Parameter& p, bool reached, std::vector<GradientHook> hooks) {
  if (hooks.empty() && !parameters_.contains(&p)) return;
  const ValueId id = id_of(p);
  values_[index(id)].reached |= reached;
  for (GradientHook& hook : hooks) gradient_hooks_[id].push_back(std::move(hook));
}

Var Tape::add_value(Tensor value, NodeId producer) {
  Value& v = values_.emplace_back();
  v.shape = value.shape();
  v.dtype = value.dtype();
  v.producer = producer;
  return Var(std::move(value), this, static_cast<ValueId>(values_.size() - 1), generation_);
}

const Value& Tape::value_of(const Var& v, const char* caller) const {
  if (v.tape_ != this || !v.requires_grad())
    throw ConfigError(expected_got(caller, "a value that this tape follows", "a constant or another tape's value"));
  if (v.generation_ != generation_)
    throw ConfigError(expected_got(caller, "a value of this step", "one made before tape.clear()"));
  return values_[index(v.id())];
}

Value& Tape::value_of(const Var& v, const char* caller) {
  return const_cast<Value&>(std::as_const(*this).value_of(v, caller));
}

Tensor Tape::grad(const Var& v) const {
  const Value& value = value_of(v, "tape.grad");
  if (value.parameter != nullptr) return value.parameter->has_grad ? value.parameter->grad : Tensor();
  return value.grad;
}

void Tape::retain_grad(const Var& v) { value_of(v, "tape.retain_grad").retain = true; }

void Tape::on_gradient(const Var& v, GradientHook hook) {
  if (rehearsing() && !v.requires_grad()) return;
  value_of(v, "tape.on_gradient");
  gradient_hooks_[v.id()].push_back(std::move(hook));
}
void Tape::on_node(NodeId node, BackwardHook hook) {
  if (rehearsing()) return;
  assert(index(node) < nodes_.size());
  node_hooks_[node].push_back(std::move(hook));
}
void Tape::on_node(const Var& output, BackwardHook hook) {
  if (rehearsing() && !output.requires_grad()) return;
  const Value& value = value_of(output, "tape.on_node");
  if (value.producer < 0)
    throw ConfigError(
        expected_got("tape.on_node", "the output of an operation", "a leaf", "on_gradient() takes leaves"));
  on_node(value.producer, std::move(hook));
}
void Tape::on_forward(ForwardHook hook) { forward_hooks_.push_back(std::move(hook)); }
void Tape::on_backward(BackwardHook hook) { backward_hooks_.push_back(std::move(hook)); }
void Tape::on_backward_sums(BackwardHook hook) { sum_hooks_.push_back(std::move(hook)); }

void Tape::add_gradient(ValueId id, Tensor g) {
  Value& v = values_[index(id)];
  if (g.shape() != v.shape)
    throw ShapeError(expected_got("backward", fmt::format("a gradient of {}", v.shape.str()), g.shape().str()));
  if (v.parameter != nullptr) {
    Parameter& p = *v.parameter;
    v.reached = true;
    if (p.has_grad) {
      kernels::accumulate({p.grad, g});
    } else {
      const DType dtype = compute_dtype(p.value.dtype());
      if (!p.grad.defined() && g.unique() && g.dtype() == dtype) {
        p.grad = std::move(g);
      } else {
        if (!p.grad.defined()) p.grad = Tensor::empty(p.value.shape(), dtype);
        p.grad.copy_from(g);
      }
      p.has_grad = true;
    }
  } else if (!v.grad.defined()) {
    v.grad = g.to(v.dtype);
  } else {
    // Another node may hold the buffer too: then the sum gets one of its own.
    if (!v.grad.unique()) v.grad = v.grad.clone();
    kernels::accumulate({v.grad, g});
  }
}

void Tape::backward(const Var& loss) {
  if (loss.value().numel() != 1)
    throw ShapeError(expected_got("backward", "a loss of one element", loss.value().str(),
                                  "reduce it, or give a gradient for each output"));
  const Var outputs[] = {loss};
  const Tensor gradients[] = {Tensor::full(loss.shape(), 1.0, loss.dtype())};
  backward(outputs, gradients);
}

void Tape::backward(std::span<const Var> outputs, std::span<const Tensor> gradients) {
  if (outputs.size() != gradients.size())
    throw ShapeError(
        expected_got("backward", fmt::format("{} gradients", outputs.size()), fmt::format("{}", gradients.size())));
  if (swept_) throw ConfigError("[backward] this tape has run backward already (record the step again after clear())");
  for (const Var& v : outputs) value_of(v, "backward");
  swept_ = true;
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (gradients[i].defined()) add_gradient(outputs[i].id(), gradients[i]);
  for (auto id = static_cast<NodeId>(nodes_.size()) - 1; id >= 0; --id) run_node(id);
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].producer >= 0) continue;
    const auto id = static_cast<ValueId>(i);
    if (outer_ != nullptr && values_[i].parameter != nullptr)
      outer_->adopt(*values_[i].parameter, values_[i].reached, std::move(gradient_hooks_[id]));
    else
      run_gradient_hooks(id);
  }
}

void Tape::run_gradient_hooks(ValueId id) {
  const auto it = gradient_hooks_.find(id);
  if (it == gradient_hooks_.end()) return;
  Value& v = values_[index(id)];
  // A parameter that this sweep did not reach may hold the gradient of an earlier one.
  if (v.parameter != nullptr ? !v.reached : !v.grad.defined()) return;
  for (auto& hook : it->second) hook(v.parameter != nullptr ? v.parameter->grad : v.grad);
}

void Tape::run_node(NodeId id) {
  Node& node = nodes_[index(id)];
  bool reached = false;
  for (ValueId out : node.outputs) {
    run_gradient_hooks(out);
    reached = reached || values_[index(out)].grad.defined();
  }
  if (reached) {
    const auto start = std::chrono::steady_clock::now();
    const auto own = node_hooks_.find(id);
    const bool observed = !backward_hooks_.empty() || own != node_hooks_.end();
    Backward context(*this, id, observed);
    node.backward(context);
    node.backward_seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() - context.remaking_seconds_;
    if (observed) {
      for (auto& hook : backward_hooks_) hook(*this, node, context.given_);
      if (own != node_hooks_.end())
        for (auto& hook : own->second) hook(*this, node, context.given_);
      for (std::size_t i = 0; i < context.given_.size(); ++i)
        if (context.given_[i].defined()) add_gradient(node.inputs[i].id, std::move(context.given_[i]));
    }
    if (!sum_hooks_.empty()) {
      std::vector<Tensor> sums;
      for (const NodeInput& in : node.inputs) {
        const Value* v = in.id == kConstant ? nullptr : &values_[index(in.id)];
        sums.push_back(v == nullptr              ? Tensor()
                       : v->parameter == nullptr ? v->grad
                       : v->reached              ? v->parameter->grad
                                                 : Tensor());
      }
      for (auto& hook : sum_hooks_) hook(*this, node, sums);
    }
  }
  node.saved.clear();
  node.remade = Tensor();
  node.remake = nullptr;
  node.backward = nullptr;
  for (ValueId out : node.outputs)
    if (!values_[index(out)].retain) values_[index(out)].grad = Tensor();
}

const Tensor& Tape::remade(NodeId id) {
  Node& node = nodes_[index(id)];
  if (!node.remade.defined()) {
    const auto start = std::chrono::steady_clock::now();
    Backward context(*this, id, false);
    node.remade = node.remake(context);
    node.backward_seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  return node.remade;
}

void Tape::clear() {
  nodes_.clear();
  values_.clear();
  parameters_.clear();
  gradient_hooks_.clear();
  node_hooks_.clear();
  swept_ = false;
  ++generation_;
}

std::int64_t Tape::saved_bytes() const {
  std::unordered_set<const Storage*> seen;
  for (const auto& [parameter, id] : parameters_) seen.insert(parameter->value.storage());
  std::int64_t bytes = 0;
  for (const Node& node : nodes_)
    for (const SavedTensor& s : node.saved)
      if (s.tensor.defined() && seen.insert(s.tensor.storage()).second)
        bytes += static_cast<std::int64_t>(s.tensor.storage()->bytes);
  return bytes;
}

Scope::Scope(Tape& tape, std::string_view name) : tape_(tape), outer_(tape.scope_) {
  const std::string& prefix = tape.scope_name(outer_);
  std::string full = prefix.empty() ? std::string(name) : prefix + "." + std::string(name);
  const auto [it, added] = tape.scope_ids_.emplace(full, static_cast<std::int32_t>(tape.scopes_.size()));
  if (added) tape.scopes_.push_back(std::move(full));
  tape.scope_ = it->second;
}

}  // namespace blalm
