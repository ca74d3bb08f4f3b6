// Every combination of features trains and decodes.
#include <doctest/doctest.h>

#include <fmt/format.h>

#include "models/config_json.h"
#include "models/decode.h"
#include "tests/models/support.h"

namespace blalm {
namespace {

using namespace test;

struct Memory {
  std::int64_t count;
  MemoryKind kind;
};
constexpr Memory kMemories[] = {{0, MemoryKind::first}, {2, MemoryKind::first}, {2, MemoryKind::meta}};
constexpr ops::HeadNormKind kNorms[] = {ops::HeadNormKind::layer, ops::HeadNormKind::rms, ops::HeadNormKind::none};

// Calls visit for each combination that says something; side settings, which do not meet the others, take turns unless
// `all`.
template <class Visit>
void each_combination(bool all, Visit&& visit) {
  int turn = 0;
  const auto sides = [&](ModelConfig c) {
    const int many = all ? 24 : 1;
    for (int s = 0; s < many; ++s) {
      const int pick = all ? s : turn++;
      c.mlstm_norm = kNorms[pick % 3];
      c.tie_word_embeddings = pick % 2 == 0;
      c.swa_after_conv = pick / 2 % 2 == 0;
      c.num_key_value_heads = pick / 4 % 2 == 0 ? 1 : 0;
      c.logit_soft_cap = pick % 5 == 0 ? 20 : 0;
      visit(c);
    }
  };
  for (const std::int64_t kernel : {0, 1, 3})
    for (const std::int64_t window : {0, 5})
      for (const Memory memory : kMemories)
        for (int modulation = 0; modulation < 6; ++modulation)
          for (int scope = 0; scope < 3; ++scope)
            for (int map = -1; map < 3; ++map) {
              const bool modulated = modulation > 0;
              if (window == 0 && (modulated || (memory.count > 0 && memory.kind == MemoryKind::first))) continue;
              if (!modulated && scope > 0) continue;
              ModelConfig c;
              c.vocab_size = 11;
              c.hidden_size = 8;
              c.num_hidden_layers = 1;
              c.num_attention_heads = 2;
              c.intermediate_size = 8;
              c.chunk_size = 4;
              c.conv_kernel = kernel;
              c.swa_window = window;
              c.swa_memory = memory.count;
              c.memory_kind = memory.kind;
              c.swa_modulation = static_cast<ops::Modulation>(modulation);
              c.modulation_scope = static_cast<ModulationScope>(scope);
              c.feature_map = map < 0 ? "none" : "hedgehog";
              if (map >= 0) c.hedgehog_map = static_cast<ops::FeatureMap>(map);
              sides(c);
            }
}

void check_runs(const ModelConfig& config, const Precision& precision, double tolerance) {
  INFO(to_json(config));
  LanguageModel model(config);
  model.run.precision = precision;
  perturb(model, 0.1);
  constexpr std::int64_t kLength = 11;
  const Tensor ids = random_ids(2, kLength, 11), targets = random_ids(2, kLength, 11, 6);
  REQUIRE(std::isfinite(run_step(model, ids, targets)));
  for (Parameter* p : model.parameters()) {
    INFO(p->name);
    REQUIRE(p->has_grad);
    REQUIRE(p->grad.shape() == p->value.shape());
    REQUIRE(all_finite(p->grad));
  }
  const Tensor all = logits(model, ids);
  DecodeState state(model, 2);
  prefill(model, columns(ids, 0, 3), state);
  for (std::int64_t t = 3; t < kLength; ++t) {
    const Tensor z = step(model, columns(ids, t, t + 1).reshape({2}), state);
    for (std::int64_t b = 0; b < 2; ++b) REQUIRE(relative_error(z.row(b), all.row(b).row(t)) < tolerance);
  }
}

}  // namespace

TEST_CASE("combinations of features run forward, backward and decode") {
  int combinations = 0;
  each_combination(false, [&](const ModelConfig& c) {
    check_runs(c, Precision::f32(), 1e-4);
    ++combinations;
  });
  CHECK(combinations == 3 * 4 * (2 + 3 * (1 + 5 * 3)));
}

TEST_CASE("the Transformer runs with what it has a use for") {
  for (const bool meta : {false, true})
    for (const std::int64_t groups : {0, 1})
      for (const bool tied : {false, true}) {
        ModelConfig c = small_config("transformer");
        c.vocab_size = 11;
        c.memory_kind = meta ? MemoryKind::meta : MemoryKind::first;
        c.swa_memory = meta ? 3 : 0;
        c.num_key_value_heads = groups;
        c.tie_word_embeddings = tied;
        check_runs(c, Precision::f32(), 1e-4);
        check_runs(c, Precision::bf16(), 5e-2);
      }
}

TEST_SUITE("slow") {
  TEST_CASE("all combinations of features, and in bf16") {
    each_combination(true, [](const ModelConfig& c) { check_runs(c, Precision::f32(), 1e-4); });
    each_combination(false, [](const ModelConfig& c) { check_runs(c, Precision::bf16(), 0.1); });
  }
}

}  // namespace blalm
