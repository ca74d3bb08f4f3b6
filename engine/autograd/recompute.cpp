#include "engine/autograd/recompute.h"

#include <fmt/format.h>

#include <utility>

#include "engine/autograd/modes.h"
#include "engine/autograd/op.h"
#include "engine/core/error.h"

namespace blalm {

// Has access to the tape's insides: the inner tape of the backward pass continues scopes, random numbers and hooks.
class Recompute {
 public:
  static void inherit(Tape& outer, Tape& inner, std::int32_t scope) {
    inner.outer_ = &outer;
    inner.scopes_ = outer.scopes_;
    inner.scope_ids_ = outer.scope_ids_;
    inner.scope_ = scope;
    inner.forward_hooks_ = outer.forward_hooks_;
    inner.backward_hooks_ = outer.backward_hooks_;
    inner.sum_hooks_ = outer.sum_hooks_;
  }
  static std::int32_t scope(const Tape& tape) { return tape.scope_; }

  // Runs a segment for the first time: unrecorded, but as a part of training if that is what goes on.
  class FirstRun {
   public:
    explicit FirstRun(Tape& tape)
        : tape_(tape), training_(tape.training()), depth_(tape.training_depth_), no_grad_(tape) {
      if (training_) tape_.training_depth_ = tape_.no_grad_depth_;
    }
    ~FirstRun() { tape_.training_depth_ = depth_; }
    FirstRun(const FirstRun&) = delete;
    FirstRun& operator=(const FirstRun&) = delete;

   private:
    Tape& tape_;
    bool training_;
    int depth_;
    NoGrad no_grad_;
  };
};

Var recompute(Tape& tape, std::span<const Var> inputs, Segment segment, Location where) {
  const auto one = [segment = std::move(segment)](Tape& t, std::span<const Var> in) {
    return std::vector<Var>{segment(t, in)};
  };
  return recompute(tape, inputs, SegmentOfMany(one), where)[0];
}

std::vector<Var> recompute(Tape& tape, std::span<const Var> inputs, SegmentOfMany segment, Location where) {
  Op op("recompute", inputs, where);
  op.record_on(tape);
  const std::uint64_t position = tape.rng().position();
  std::vector<Var> constants;
  std::vector<Tensor> saved;
  std::vector<bool> follow;
  for (const Var& v : inputs) {
    constants.push_back(v.detach());
    saved.push_back(v.value());
    follow.push_back(v.requires_grad());
  }
  std::vector<Tensor> outputs;
  {
    const Recompute::FirstRun guard(tape);
    for (const Var& v : segment(tape, constants)) outputs.push_back(v.value());
  }
  op.ran("composed");
  return op.finish(
      outputs, std::move(saved),
      [&tape, segment = std::move(segment), position, follow, count = outputs.size(),
       scope = Recompute::scope(tape)](Backward& back) {
        Tape inner(tape.rng().seed());
        Recompute::inherit(tape, inner, scope);
        inner.rng().set_position(position);
        std::vector<Var> values;
        for (std::size_t i = 0; i < follow.size(); ++i) {
          const Tensor& t = back.saved(static_cast<int>(i));
          values.push_back(follow[i] ? inner.leaf(t) : Var(t));
        }
        const std::vector<Var> again = segment(inner, values);
        if (again.size() != count)
          throw ConfigError(expected_got("recompute", fmt::format("{} outputs, as in the first run", count),
                                         fmt::format("{}", again.size())));
        std::vector<Var> followed;
        std::vector<Tensor> gradients;
        for (std::size_t i = 0; i < count; ++i) {
          if (!again[i].requires_grad() || !back.has_dout(static_cast<int>(i))) continue;
          followed.push_back(again[i]);
          gradients.push_back(back.dout(static_cast<int>(i)));
        }
        if (followed.empty()) return;
        inner.backward(followed, gradients);
        for (std::size_t i = 0; i < follow.size(); ++i)
          if (follow[i])
            if (Tensor g = inner.grad(values[i]); g.defined()) back.give(static_cast<int>(i), std::move(g));
      });
}

}  // namespace blalm
