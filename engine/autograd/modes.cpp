#include "engine/autograd/modes.h"

#include "engine/autograd/tape.h"

namespace blalm {
namespace {
thread_local int inference_depth = 0;
}

NoGrad::NoGrad(Tape& tape) : tape_(tape) { ++tape_.no_grad_depth_; }
NoGrad::~NoGrad() { --tape_.no_grad_depth_; }

InferenceMode::InferenceMode() { ++inference_depth; }
InferenceMode::~InferenceMode() { --inference_depth; }
bool InferenceMode::active() { return inference_depth > 0; }

}  // namespace blalm
