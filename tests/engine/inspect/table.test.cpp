#include "engine/inspect/table.h"

#include <doctest/doctest.h>

#include "engine/ops/ops.h"

namespace blalm {

TEST_CASE("the table of a small tape") {
  Tape tape;
  const Var x = tape.leaf(Tensor::full({2, 3}, 1.0), "x");
  Var y;
  {
    const Scope scope(tape, "mlp");
    y = ops::silu(x);
  }
  tape.backward(ops::sum_all(ops::mul(y, Tensor::full({3}, 2.0))));
  CHECK(inspect::table(tape, {.times = false, .places = false}) ==
        "#  op       module  inputs                outputs    kernel     saved\n"
        "0  silu     mlp     x [2, 3]              %1 [2, 3]  reference   24 B\n"
        "1  mul              %1 [2, 3], const [3]  %2 [2, 3]  reference   12 B\n"
        "2  sum_all          %2 [2, 3]             %3 []      reference    0 B\n"
        "3 nodes, 36 B saved for backward, 1.8e-05 MFLOP forward\n");
  const std::string full = inspect::table(tape);
  CHECK(full.find("forward us") != std::string::npos);
  CHECK(full.find("table.test.cpp:") != std::string::npos);
}

TEST_CASE("bytes for people") {
  CHECK(inspect::human_bytes(0) == "0 B");
  CHECK(inspect::human_bytes(999) == "999 B");
  CHECK(inspect::human_bytes(1500) == "1.50 kB");
  CHECK(inspect::human_bytes(105'000'000) == "105 MB");
  CHECK(inspect::human_bytes(17'000'000'000) == "17.0 GB");
}

}  // namespace blalm
