// The first page of blalm: a tape, a small network, its gradients, and the tape printed.
#include <cstdio>

#include "engine/inspect/table.h"
#include "engine/ops/ops.h"

using namespace blalm;

int main() {
  Rng rng(1);
  Tensor x = Tensor::empty({4, 3}), y = Tensor::empty({4, 2});  // four examples: three numbers in, two out
  Parameter w1{.name = "w1", .value = Tensor::empty({8, 3}), .grad = {}};
  Parameter w2{.name = "w2", .value = Tensor::empty({2, 8}), .grad = {}};
  for (const Tensor& t : {x, y, w1.value, w2.value}) rng.fill_normal(t, 0, 0.5);

  for (int step = 0; step <= 100; ++step) {
    Tape tape;
    const Var hidden = ops::silu(ops::linear(x, tape.parameter(w1)));        // [4, 8]
    const Var error = ops::sub(ops::linear(hidden, tape.parameter(w2)), y);  // [4, 2]
    const Var loss = ops::scale(ops::sum_all(ops::square(error)), 0.125);    // []
    tape.backward(loss);
    if (step % 25 == 0) std::printf("step %3d  loss %.6f\n", step, loss.value().item());
    for (Parameter* p : {&w1, &w2}) {  // gradient descent
      p->value = ops::sub(p->value, ops::scale(p->grad, 0.5)).value();
      p->zero_grad();
    }
    if (step == 100) std::printf("\n%s", inspect::table(tape).c_str());
  }
}
