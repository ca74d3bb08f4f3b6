#include "apps/bench/workload.h"

#include <fmt/format.h>

#include "apps/common/gradients.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/core/rng.h"

namespace blalm::bench {
namespace {

constexpr std::int64_t kMostTokens = 1 << 26;  // a step's ids and targets are drawn before it: 512 MiB of them

}  // namespace

Fields Workload::fields() {
  Fields f;
  f.add("preset", preset, "row of the ablation table, as swa-dynmod, or swa+c with the short convolution");
  f.add("size", size, "width and layers: nano, tiny, small or base");
  f.add("vocab", vocab, "tokens in the vocabulary").at_least(1).at_most(1 << 24);
  f.add("batch", batch, "sequences").at_least(1).at_most(1e6);
  add_precision(f, precision);
  f.add("threads", threads, "of the computation; 0: all processors").at_least(0).at_most(1024);
  f.add("repeats", repeats, "measurements, whose median and spread are printed").at_least(1).at_most(1e6);
  f.add("warmup", warmup, "runs before the first measurement").at_least(0).at_most(1e6);
  return f;
}

Fields Workload::sequence_fields() {
  Fields f;
  f.add("seq", seq, "tokens a sequence").at_least(1).at_most(1 << 24);
  return f;
}

Fields Workload::training_fields() {
  Fields f;
  f.add("micro-batch", micro_batch, "sequences computed at once, a divisor of batch; 0: about 8192 tokens")
      .at_least(0)
      .at_most(1e6);
  f.add("optimizer", optim.optimizer, {"adamw", "muon"}, "adamw or muon, as optim.optimizer");
  return f;
}

Fields Workload::optimizer_settings() {
  constexpr std::string_view kSchedule[] = {"schedule", "steps", "warmup", "decay", "min_lr", "wsd_shape"};
  return optim.fields().without(kSchedule);
}

void Workload::resolve(const std::vector<Setting>& given, const Fields& settings) {
  apply_preset(model, preset);
  apply_size(model, size);
  model.vocab_size = vocab;
  apply_settings(given, settings);
  vocab = model.vocab_size;
  precision = resolved(precision);
  optim.ns_precision = resolved(optim.ns_precision, precision);
  if (threads == 0) threads = num_threads();
  if (batch > kMostTokens / seq)
    throw ConfigError(expected_got("batch", fmt::format("at most {} tokens a step", kMostTokens),
                                   fmt::format("{} x {}", batch, seq)));
  if (micro_batch == 0) micro_batch = usual_micro_batch(batch, seq);
  if (batch % micro_batch != 0)
    throw ConfigError(expected_got("micro-batch", fmt::format("a divisor of the batch of {}", batch),
                                   fmt::format("{}", micro_batch)));
}

std::unique_ptr<LanguageModel> make_model(const Workload& w) {
  auto model = std::make_unique<LanguageModel>(w.model);
  model->run.precision = precision_of(w.precision);
  model->run.recompute = w.recompute;
  return model;
}

Tensor random_ids(Rng& rng, std::int64_t batch, std::int64_t length, std::int64_t vocab) {
  const Tensor ids = Tensor::empty({batch, length}, DType::i32);
  auto* id = ids.mutable_data<std::int32_t>();
  for (std::int64_t i = 0; i < ids.numel(); ++i)
    id[i] = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(vocab)));
  return ids;
}

std::vector<Batch> random_batches(const Workload& w) {
  Rng rng(0);
  std::vector<Batch> batches;
  for (std::int64_t i = 0; i < w.batch; i += w.micro_batch) {
    Batch& b = batches.emplace_back();
    b.ids = random_ids(rng, w.micro_batch, w.seq, w.vocab);
    b.targets = random_ids(rng, w.micro_batch, w.seq, w.vocab);
  }
  return batches;
}

std::string how(const Workload& w) {
  return fmt::format("{}, {} thread{}", name_of(w.precision), w.threads, w.threads == 1 ? "" : "s");
}

std::string title(const Workload& w, std::int64_t parameters) {
  return fmt::format("{} {}: {:.1f} M parameters, {}", w.preset, w.size, static_cast<double>(parameters) / 1e6, how(w));
}

}  // namespace blalm::bench
