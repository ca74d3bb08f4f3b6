#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <cstring>

#include "engine/autograd/modes.h"
#include "engine/autograd/recompute.h"
#include "engine/core/parallel.h"
#include "tests/engine/ops/census_list.h"
#include "tests/support/tensors.h"

namespace blalm::census {
namespace {

using test::same_bits;

// The mask, drawn word by word from a tape's numbers as they stand at its start.
Tensor mask(const Shape& shape, DType dtype, double p) {
  Rng rng = Tape().rng();
  Tensor m = Tensor::empty(shape, DType::f64);
  for (std::int64_t i = 0; i < m.numel(); ++i)
    m.mutable_data<double>()[i] = static_cast<double>(rng.next_u32()) >= std::floor(p * 0x1p32) ? 1 / (1 - p) : 0;
  return m.to(dtype);
}

}  // namespace

std::vector<OpCensus> dropout() {
  OpCensus op{"dropout"};
  const auto add = [&](const std::string& name, const Shape& shape, double p) {
    Case c;
    c.name = name;
    c.inputs = {{"x", shape}};
    c.composed = one([p](auto in) { return ops::mul(in[0], mask(in[0].shape(), in[0].dtype(), p)); });
    c.fused = one([p, composed = c.composed](auto in) {
      // Inference drops nothing, and the census compares it with training.
      if (InferenceMode::active()) return composed(in)[0];
      Tape fresh;
      Tape& tape = in[0].requires_grad() ? *in[0].tape() : fresh;
      return ops::dropout(tape, in[0], p);
    });
    c.bf16 = true;
    op.cases.push_back(c);
  };
  add("p = 0", {3, 7}, 0);
  add("p = 0.1", {2, 65, 33}, 0.1);
  add("p = 0.5, large", {150, 301}, 0.5);
  add("p = 0.999", {40, 40}, 0.999);
  add("one element", {1}, 0.3);
  add("empty", {0, 4}, 0.3);
  for (const double p : {1.0, -0.1, std::nan("")})
    op.errors.push_back({fmt::format("p = {}", p),
                         [p] {
                           Tape tape;
                           ops::dropout(tape, f32({2}), p);
                         },
                         "[dropout] expected a probability in [0, 1), got"});
  op.errors.push_back({"another tape",
                       [] {
                         Tape tape, other;
                         ops::dropout(tape, other.leaf(f32({2})), 0.5);
                       },
                       "[dropout] expected the tape of x, got another one"});
  return {op};
}

TEST_CASE("dropout keeps 1 - p of the elements, and other ones the next time") {
  Tape tape(3);
  const Tensor x = Tensor::full({100000}, 1);
  const Tensor a = ops::dropout(tape, x, 0.25).value(), b = ops::dropout(tape, x, 0.25).value();
  std::int64_t kept = 0, both = 0;
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    REQUIRE((a.at(i) == 0 || std::abs(a.at(i) - 4.0 / 3) < 1e-6));
    kept += a.at(i) != 0;
    both += a.at(i) != 0 && b.at(i) != 0;
  }
  // Five standard deviations.
  CHECK(std::abs(static_cast<double>(kept) - 75000) < 5 * std::sqrt(100000 * 0.25 * 0.75));
  CHECK(std::abs(static_cast<double>(both) - 56250) < 5 * std::sqrt(100000 * 0.5625 * 0.4375));
  Tape again(3), other(4);
  CHECK(same_bits(a, ops::dropout(again, x, 0.25).value()));
  CHECK_FALSE(same_bits(a, ops::dropout(other, x, 0.25).value()));
}

TEST_CASE("dropout is off in evaluation and on in both runs of a recompute segment") {
  Tape tape;
  const Tensor x = Tensor::full({64}, 1);
  {
    const InferenceMode inference;
    CHECK(same_bits(ops::dropout(tape, x, 0.5).value(), x));
  }
  const Segment segment = [](Tape& t, std::span<const Var> in) { return ops::dropout(t, ops::scale(in[0], 1), 0.5); };
  const Var constant[] = {Var(x)};
  {
    const NoGrad no_grad(tape);
    CHECK(same_bits(ops::dropout(tape, x, 0.5).value(), x));
    CHECK(same_bits(recompute(tape, constant, segment).value(), x));
  }
  CHECK(tape.rng().position() == 0);

  // One segment in another: the inner one runs three times, with one mask.
  const Segment nested = [&](Tape& t, std::span<const Var> in) { return recompute(t, in, segment); };
  const Var leaf[] = {tape.leaf(x, "x")};
  const Var y = recompute(tape, leaf, nested);
  CHECK_FALSE(same_bits(y.value(), x));
  tape.backward(ops::sum_all(y));
  CHECK(same_bits(tape.grad(leaf[0]), y.value()));
}

}  // namespace blalm::census
