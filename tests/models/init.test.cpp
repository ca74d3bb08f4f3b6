// First values (spec §4.7, §5.8, §7.2, §10, §11.2) and the counts of spec §4.6.
#include "models/init.h"

#include <doctest/doctest.h>

#include "engine/core/parallel.h"
#include "tests/models/support.h"

namespace blalm {
namespace {

using namespace test;

struct Moments {
  double mean = 0, stddev = 0, low = 0, high = 0;
};

Moments moments(const Tensor& t) {
  Moments m{.low = t.at(0), .high = t.at(0)};
  const auto n = static_cast<double>(t.numel());
  for (std::int64_t i = 0; i < t.numel(); ++i) {
    const double x = t.at(i);
    m.mean += x / n;
    m.stddev += x * x / n;
    m.low = std::min(m.low, x);
    m.high = std::max(m.high, x);
  }
  m.stddev = std::sqrt(m.stddev - m.mean * m.mean);
  return m;
}

ModelConfig wide(std::string_view preset) {
  ModelConfig c = small_config(preset);
  c.hidden_size = 192;
  c.num_attention_heads = 3;
  return c;
}

const Tensor& value(LanguageModel& model, const std::string& name) {
  Parameter* p = model.find(name);
  REQUIRE(p != nullptr);
  return p->value;
}

std::int64_t count(const ModelConfig& c) {
  std::int64_t n = 0;
  for (const ShapedParameter& p : LanguageModel(c, {.values = Values::none}).shaped_parameters()) n += p.shape.numel();
  return n;
}

}  // namespace

TEST_CASE("defaults") {
  ModelConfig c = wide("full");
  LanguageModel model(c);
  const std::string mixer = "model.layers.1.mlstm.";
  for (const char* name : {"q_proj", "v_proj", "ogate_proj", "out_proj"}) {
    const Moments m = moments(value(model, mixer + name + ".weight"));
    CHECK(m.stddev == doctest::Approx(0.02).epsilon(0.03));
    CHECK(std::abs(m.mean) < 5e-4);
  }
  CHECK(moments(value(model, "model.embed_tokens.weight")).stddev == doctest::Approx(0.02).epsilon(0.05));
  const Moments conv = moments(value(model, mixer + "k_conv.weight"));
  CHECK(conv.stddev == doctest::Approx(0.5 / std::sqrt(3)).epsilon(0.1));
  CHECK((conv.low < -0.48 && conv.low >= -0.5 && conv.high > 0.48 && conv.high < 0.5));
  const Tensor& map = value(model, mixer + "q_hedgehog.weight");
  CHECK(map.shape() == Shape{64, 64});
  for (std::int64_t i = 0; i < map.numel(); ++i) REQUIRE(map.at(i) == (i % 65 == 0 ? 1 : 0));
  CHECK(moments(value(model, mixer + "q_hedgehog.bias")).high == 0);
  CHECK(value(model, mixer + "swa_alpha").at(0) == 0);
  CHECK(moments(value(model, mixer + "head_norm.weight")).low == 1);
  CHECK(moments(value(model, mixer + "igate.weight")).stddev == 0);
  const Tensor& forget = value(model, mixer + "fgate.bias");
  CHECK((forget.at(0) == 3 && forget.at(1) == 4.5 && forget.at(2) == 6));
}

TEST_CASE("gate presets") {
  const auto input_bias = [](const char* preset, GateInit kind) {
    ModelConfig c = wide(preset);
    c.gate_init = kind;
    LanguageModel model(c);
    return moments(value(model, "model.layers.0.mlstm.igate.bias"));
  };
  CHECK(input_bias("mlstm", GateInit::automatic).high == -10);
  CHECK(std::abs(input_bias("hedgehog", GateInit::automatic).mean) < 0.5);
  CHECK(input_bias("hedgehog", GateInit::automatic).stddev > 0);
  CHECK(input_bias("hedgehog", GateInit::xlstm7b).low == -10);
  CHECK(input_bias("mlstm", GateInit::hf_llama).stddev == 0);
  ModelConfig c = wide("mlstm");
  c.gate_init = GateInit::hf_llama;
  LanguageModel model(c);
  CHECK(moments(value(model, "model.layers.0.mlstm.fgate.weight")).stddev == doctest::Approx(0.02).epsilon(0.1));
  CHECK(moments(value(model, "model.layers.0.mlstm.fgate.bias")).high == 0);
}

TEST_CASE("matrices that write to the residual stream") {
  ModelConfig c = wide("mlstm");
  c.residual_init_scale = true;
  LanguageModel scaled(c);
  CHECK(moments(value(scaled, "model.layers.0.mlstm.out_proj.weight")).stddev == doctest::Approx(0.01).epsilon(0.03));
  CHECK(moments(value(scaled, "model.layers.0.mlp.down_proj.weight")).stddev == doctest::Approx(0.01).epsilon(0.03));
  CHECK(moments(value(scaled, "model.layers.0.mlp.up_proj.weight")).stddev == doctest::Approx(0.02).epsilon(0.03));
  c.residual_init_scale = false;
  c.weight_init = WeightInit::xlstm;
  LanguageModel xlstm(c);
  CHECK(moments(value(xlstm, "model.layers.0.mlstm.q_proj.weight")).stddev ==
        doctest::Approx(std::sqrt(2.0 / (5 * 192))).epsilon(0.03));
  CHECK(moments(value(xlstm, "model.layers.0.mlstm.out_proj.weight")).stddev ==
        doctest::Approx(2 / (2 * std::sqrt(192))).epsilon(0.03));
  CHECK(moments(value(xlstm, "model.layers.0.mlp.down_proj.weight")).stddev ==
        doctest::Approx(2 / (2 * std::sqrt(48))).epsilon(0.03));
}

TEST_CASE("a feature changes no other parameter's first value; a seed changes them all") {
  LanguageModel plain(small_config("mlstm")), full(small_config("full")), other(small_config("mlstm"), {.seed = 1});
  for (Parameter* p : plain.parameters()) {
    CAPTURE(p->name);
    if (!p->name.ends_with("igate.bias")) CHECK(same_bits(p->value, value(full, p->name)));
    if (p->role == Role::matrix || p->role == Role::embedding) CHECK_FALSE(same_bits(p->value, value(other, p->name)));
  }
  CHECK_FALSE(
      same_bits(value(plain, "model.layers.0.mlp.up_proj.weight"), value(plain, "model.layers.1.mlp.up_proj.weight")));
}

TEST_CASE("normal values are those of the plain stream, on any number of threads") {
  const Tensor expected = Tensor::empty({300, 500}), got = Tensor::empty({300, 500});
  Rng(3, 4).fill_normal(expected, 0, 0.5);
  const int threads = num_threads();
  for (const int n : {1, 3}) {
    set_num_threads(n);
    init::normal(0.5)(Rng(3, 4), got);
    CHECK(same_bits(got, expected));
  }
  set_num_threads(threads);
}

TEST_CASE("a Hedgehog map with a matrix a head begins as the identity") {
  ModelConfig c = small_config("hedgehog");
  c.hedgehog_map = ops::FeatureMap::lol;
  c.num_key_value_heads = 1;
  LanguageModel model(c);
  CHECK(value(model, "model.layers.0.mlstm.q_hedgehog.weight").shape() == Shape{2, 16, 16});
  const Tensor& keys = value(model, "model.layers.0.mlstm.k_hedgehog.weight");
  CHECK(keys.shape() == Shape{1, 16, 16});
  for (std::int64_t i = 0; i < keys.numel(); ++i) REQUIRE(keys.at(i) == (i % 17 == 0 ? 1 : 0));
  CHECK(model.find("model.layers.0.mlstm.q_hedgehog.bias") == nullptr);
}

TEST_CASE("numbers of parameters") {
  ModelConfig c;
  apply_size(c, "base");
  const std::int64_t d = 768, embedding = 16000 * d, layer = 3 * d * 2048 + 2 * d;
  apply_preset(c, "transformer");
  CHECK(count(c) == 12 * (4 * d * d + layer) + embedding + d);
  apply_preset(c, "mlstm");
  const std::int64_t mlstm = 5 * d * d + 2 * (d * 12 + 12) + d + layer;
  CHECK(count(c) == 12 * mlstm + embedding + d);
  apply_preset(c, "full");
  CHECK(count(c) == 12 * (mlstm + 3 * d * 4 + 1 + 2 * (64 * 64 + 64)) + embedding + d);
  c.tie_word_embeddings = false;
  CHECK(count(c) == 12 * (mlstm + 3 * d * 4 + 1 + 2 * (64 * 64 + 64)) + 2 * embedding + d);
}

}  // namespace blalm
