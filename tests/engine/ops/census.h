// One list of cases an op, one driver for all of them. A case says how to make the inputs and how to call the op; the
// driver (census.cpp) then checks, for every case of every op:
//
//   composed    outputs and all gradients equal those of the composed definition, in f64
//   gradcheck   gradients equal complex-step derivatives (or central differences) of the forward pass, in f64.
//               Inputs of up to 64 elements (BLALM_CENSUS_ELEMENTS=N: up to N; the slow tests: 512) are checked element
//               by element, larger ones at 32 elements and along 4 random directions. The error of an element is
//               relative to its derivative, or to the root mean square of the gradient where the derivative is
//               smaller than that: 1e-10 (1e-6 for central differences)
//   kernels     every implementation of every kernel that the op runs gives the same outputs and gradients as f64, in
//               f32 and, where the case says so, in bf16; with memory poisoned by NaN before each run
//   threads     1 and 3 threads give the same bits with each of these implementations, no work being too small to be
//               shared out. oneDNN alone, which may cut a sum by threads, has a tolerance: 1e-5 in f32, in bf16 one
//               rounding
//   repeat      two runs give the same bits
//   want        each gradient asked for alone equals the one asked for with the others
//   no grad     unrecorded runs give the same outputs
//   errors      calls that must throw do, with the declared words
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/core/rng.h"
#include "engine/ops/ops.h"

namespace blalm::census {

// How the numbers of an input are drawn (in f64; they are rounded to the dtype of a run, and the f64 runs use values
// that float holds exactly, so that all runs see the same inputs).
struct Fill {
  double mean = 0, stddev = 1;  // normal
  double low = 0, high = 0;     // uniform in [low, high] when low < high
  bool gate = false;            // keeps f32 when the other inputs are bf16 (gates, norms' weights)
};
inline Fill normal(double mean = 0, double stddev = 1) { return {mean, stddev, 0, 0, false}; }
inline Fill uniform(double low, double high) { return {0, 1, low, high, false}; }
inline Fill as_gate(Fill f) {
  f.gate = true;
  return f;
}

struct Input {
  std::string name;
  Shape shape;
  Fill fill = normal();
  bool differentiable = true;
  double f32_slack = 1;  // of its gradient, times the case's f32_tolerance: what is kept in bf16 reaches it alone
};

using Call = std::function<std::vector<Var>(std::span<const Var> inputs)>;

struct Case {
  std::string name;
  std::vector<Input> inputs;
  Call fused;
  Call composed;                // empty: the op is its own definition
  bool complex_step = true;     // false: central differences (the formula is not analytic there)
  double f32_tolerance = 1e-5;  // relative, norm of the difference over norm of the reference
  double composed_tolerance = 1e-10;
  bool bf16 = false;  // run in bf16 as well
  double bf16_tolerance = 2e-2;
  bool finite = true;  // outputs must be finite
};

struct ErrorCase {
  std::string name;
  std::function<void()> call;
  std::string words;  // that the message must contain
};

struct OpCensus {
  std::string op;  // as declared in ops.h
  std::vector<Case> cases = {};
  std::vector<ErrorCase> errors = {};
};

// Runs every check on every case; doctest assertions carry op and case in their messages. Inputs of up to `each` elements
// are differentiated element by element.
void run(const OpCensus& op, std::int64_t each);
// gradcheck alone.
void run_gradcheck(const OpCensus& op, std::int64_t each);
// Whether the check of kernels has compared this implementation in some case.
bool compared(std::string_view kernel, std::string_view implementation);

// For error cases.
inline Tensor f32(const Shape& shape) { return Tensor::full(shape, 0.5); }
// The same with a node after it that saves the last result, which the tape then has made again instead of keeping it.
inline Case saved_later(Case c) {
  const auto then_square = [](const Call& call) {
    return [call](std::span<const Var> in) {
      std::vector<Var> results = call(in);
      results.back() = ops::square(results.back());
      return results;
    };
  };
  c.name += ", saved later";
  c.fused = then_square(c.fused);
  if (c.composed) c.composed = then_square(c.composed);
  return c;
}
// A call of one output as a Call.
template <class F>
Call one(F f) {
  return [f](std::span<const Var> in) { return std::vector<Var>{f(in)}; };
}

}  // namespace blalm::census
