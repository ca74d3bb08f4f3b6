// Modes, as guards that end with their scope.
#pragma once

namespace blalm {

class Tape;

// While alive, nothing new is recorded on this tape: results are constants.
class NoGrad {
 public:
  explicit NoGrad(Tape& tape);
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  Tape& tape_;
};

// While alive, this thread records on no tape at all, and what it makes may never be saved for a backward pass
// (clone() it first): a tensor that a decoder will overwrite cannot slip into training.
class InferenceMode {
 public:
  InferenceMode();
  ~InferenceMode();
  InferenceMode(const InferenceMode&) = delete;
  InferenceMode& operator=(const InferenceMode&) = delete;

  static bool active();
};

}  // namespace blalm
