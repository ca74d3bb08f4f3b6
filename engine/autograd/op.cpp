#include "engine/autograd/op.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "engine/autograd/modes.h"
#include "engine/core/error.h"
#include "engine/kernels/accumulate.h"

namespace blalm {
Op::Op(std::string_view name, std::span<const Var> inputs, Location where)
    : name_(name), where_(where), start_(std::chrono::steady_clock::now()) {
  if (InferenceMode::active()) return;  // records nothing, so needs nothing
  for (const Var& v : inputs) {
    if (!v.requires_grad()) continue;
    v.tape()->value_of(v, name.data());
    if (tape_ != nullptr && tape_ != v.tape())
      throw ConfigError(
          expected_got(name, "inputs of one tape", "inputs of two (pass values into recompute() as inputs)"));
    tape_ = v.tape();
  }
  if (tape_ != nullptr && !tape_->recording()) tape_ = nullptr;
  inputs_.reserve(inputs.size());
  for (const Var& v : inputs) inputs_.push_back({v.id(), v.shape(), v.dtype(), v.defined()});
  if (tape_ == nullptr) return;
  for (const Var& v : inputs) {
    if (!v.requires_grad() || v.value().numel() == 0) continue;
    const NodeId maker = tape_->values_[static_cast<std::size_t>(v.id())].producer;
    if (maker < 0) continue;
    const Node& node = tape_->nodes_[static_cast<std::size_t>(maker)];
    if (node.remake && node.outputs[static_cast<std::size_t>(node.remade_output)] == v.id() &&
        node.remade_version == v.value().version())
      remakable_.push_back({v.value().raw(), v.value().bytes(), maker});
  }
}

void Op::record_on(Tape& tape) {
  if (tape.recording() && !InferenceMode::active()) tape_ = &tape;
}

Var Op::finish(Tensor output, std::vector<Tensor> saved, BackwardFunction backward) {
  const Tensor outputs[] = {std::move(output)};
  return finish(std::span<const Tensor>(outputs), std::move(saved), std::move(backward))[0];
}

std::vector<Var> Op::finish(std::span<const Tensor> outputs, std::vector<Tensor> saved, BackwardFunction backward) {
  std::vector<Var> results;
  results.reserve(outputs.size());
  if (tape_ == nullptr) {
    for (const Tensor& t : outputs) {
      if (InferenceMode::active()) t.mark_inference();
      results.emplace_back(t);
    }
    return results;
  }
  for (const Tensor& t : saved)
    if (t.defined() && t.storage()->inference)
      throw ConfigError(
          fmt::format("[{}] cannot save a tensor made in inference mode for backward (clone() it first), at {}", name_,
                      where_.str()));
  const auto id = static_cast<NodeId>(tape_->nodes_.size());
  Node& node = tape_->nodes_.emplace_back();
  node.op = name_;
  node.scope = tape_->scope_;
  node.where = where_;
  node.implementation = implementation_;
  node.flops = flops_;
  node.inputs = std::move(inputs_);
  node.saved.reserve(saved.size());
  for (Tensor& t : saved) {
    if (t.defined()) {
      const auto again = std::ranges::find_if(
          remakable_, [&](const Remakable& r) { return r.bytes == t.bytes() && r.data == t.raw(); });
      if (again != remakable_.end()) {
        node.saved.push_back({Tensor(), 0, again->maker, t.shape()});
        continue;
      }
      node.saved_bytes += t.bytes();
    }
    const std::uint32_t version = t.version();
    node.saved.push_back({std::move(t), version});
  }
  node.backward = std::move(backward);
  node.remake = std::move(remake_);
  node.remade_output = remade_output_;
  node.remade_version = outputs[static_cast<std::size_t>(remade_output_)].version();
  for (const Tensor& t : outputs) {
    results.push_back(tape_->add_value(t, id));
    node.outputs.push_back(results.back().id());
  }
  node.forward_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  for (auto& hook : tape_->forward_hooks_) hook(*tape_, tape_->nodes_.back(), outputs);
  return results;
}

const Tensor& Backward::dout(int output) {
  const Value& v = tape_.values_[static_cast<std::size_t>(node().outputs[static_cast<std::size_t>(output)])];
  if (v.grad.defined()) return v.grad;
  if (zeros_.empty()) zeros_.resize(node().outputs.size());
  Tensor& zero = zeros_[static_cast<std::size_t>(output)];
  if (!zero.defined()) zero = Tensor::zeros(v.shape, v.dtype);
  return zero;
}

bool Backward::has_dout(int output) const {
  return tape_.values_[static_cast<std::size_t>(node().outputs[static_cast<std::size_t>(output)])].grad.defined();
}

bool Backward::want(int input) const { return node().inputs[static_cast<std::size_t>(input)].id != kConstant; }

const Tensor& Backward::saved(int index) {
  SavedTensor& s = tape_.nodes_[static_cast<std::size_t>(id_)].saved[static_cast<std::size_t>(index)];
  if (s.maker >= 0 && !s.tensor.defined()) {
    const auto start = std::chrono::steady_clock::now();
    s.tensor = tape_.remade(s.maker).reshape(s.shape);
    s.version = s.tensor.version();
    remaking_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  if (s.tensor.defined() && s.tensor.version() != s.version)
    throw NumericError(
        fmt::format("[{}] a tensor saved for backward at {} was overwritten at {} (clone() it before writing)",
                    node().op, node().where.str(), s.tensor.storage()->last_write.str()));
  return s.tensor;
}

Tensor Backward::take_saved(int index) {
  saved(index);
  return std::move(tape_.nodes_[static_cast<std::size_t>(id_)].saved[static_cast<std::size_t>(index)].tensor);
}

void Backward::give(int input, Tensor gradient) {
  if (!want(input)) return;
  if (!observed_) return tape_.add_gradient(node().inputs[static_cast<std::size_t>(input)].id, std::move(gradient));
  Tensor& given = given_[static_cast<std::size_t>(input)];
  if (!given.defined()) {
    given = std::move(gradient);
  } else {
    if (!given.unique()) given = given.clone();
    kernels::accumulate({given, gradient});
  }
}

Backward::Slot Backward::slot(int input) {
  assert(want(input));
  Value& v = tape_.values_[static_cast<std::size_t>(node().inputs[static_cast<std::size_t>(input)].id)];
  if (observed_) {
    Tensor& given = given_[static_cast<std::size_t>(input)];
    if (!given.defined()) {
      given = Tensor::empty(v.shape, v.parameter != nullptr ? compute_dtype(v.dtype) : v.dtype);
      return {given, false};
    }
    if (!given.unique()) given = given.clone();
    return {given, true};
  }
  if (v.parameter != nullptr) {
    Parameter& p = *v.parameter;
    if (!p.grad.defined()) p.grad = Tensor::empty(p.value.shape(), compute_dtype(p.value.dtype()));
    const bool add = p.has_grad;
    p.has_grad = true;
    v.reached = true;
    return {p.grad, add};
  }
  if (!v.grad.defined()) {
    v.grad = Tensor::empty(v.shape, v.dtype);
    return {v.grad, false};
  }
  if (!v.grad.unique()) v.grad = v.grad.clone();
  return {v.grad, true};
}

}  // namespace blalm
