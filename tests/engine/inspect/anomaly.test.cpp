#include "engine/inspect/anomaly.h"

#include <doctest/doctest.h>

#include "engine/core/error.h"
#include "engine/ops/ops.h"

namespace blalm {

TEST_CASE("the first value that is not finite is named with its operation, module and line") {
  Tape tape;
  inspect::stop_at_anomaly(tape);
  const Scope scope(tape, "layers.1");
  const Var x = tape.leaf(Tensor::full({3}, -1.0), "x");
  CHECK_NOTHROW(ops::exp(x));
  const auto log = [&] { ops::log(x); };  // in one line: compilers number a macro's lines differently
  CHECK_THROWS_WITH_AS(log(),
                       doctest::Contains("[anomaly] layers.1 log (called at tests/engine/inspect/anomaly.test.cpp:16, "
                                         "kernel reference): output f32[3] holds nan at element 0; 3 of 3"),
                       NumericError);
}

TEST_CASE("so is a gradient") {
  Tape tape;
  inspect::stop_at_anomaly(tape);
  const Var x = tape.leaf(Tensor::full({2}, 0.0), "x");
  const Var loss = ops::sum_all(ops::sqrt(x));  // finite, but the derivative at 0 is not
  CHECK_THROWS_WITH_AS(tape.backward(loss), doctest::Contains("sqrt (called at"), NumericError);
}

TEST_CASE("finite steps pass") {
  Tape tape;
  inspect::stop_at_anomaly(tape);
  const Var x = tape.leaf(Tensor::full({2}, 1.0), "x");
  CHECK_NOTHROW(tape.backward(ops::sum_all(ops::silu(x))));
}

}  // namespace blalm
