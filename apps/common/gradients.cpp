#include "apps/common/gradients.h"

#include <algorithm>
#include <chrono>

namespace blalm {
namespace {

using Clock = std::chrono::steady_clock;

// Enough work for every product, little enough memory for every machine.
constexpr std::int64_t kMicroBatchTokens = 8192;

double between(Clock::time_point start, Clock::time_point end) {
  return std::chrono::duration<double>(end - start).count();
}

}  // namespace

std::int64_t usual_micro_batch(std::int64_t batch, std::int64_t seq) {
  std::int64_t size = std::clamp<std::int64_t>(kMicroBatchTokens / seq, 1, batch);
  while (batch % size != 0) --size;
  return size;
}

double add_gradients(LanguageModel& model, Tape& tape, std::span<const Batch> micro_batches, PassSeconds* seconds,
                     const std::function<void(const Tape&)>& after) {
  std::int64_t sequences = 0;
  for (const Batch& b : micro_batches) sequences += b.ids.dim(0);
  double loss = 0;
  for (const Batch& b : micro_batches) {
    const auto start = Clock::now();
    tape.clear();
    const Var l = model.loss(tape, b.ids, b.targets);
    const double share = static_cast<double>(b.ids.dim(0)) / static_cast<double>(sequences);
    loss += share * l.value().item();
    const auto middle = Clock::now();
    const Var outputs[] = {l};
    const Tensor gradients[] = {Tensor::full({}, share, l.dtype())};
    tape.backward(outputs, gradients);
    if (seconds != nullptr) {
      seconds->forward += between(start, middle);
      seconds->backward += between(middle, Clock::now());
    }
    if (after) after(tape);
  }
  return loss;
}

}  // namespace blalm
