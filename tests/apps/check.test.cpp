// blalm check on models and optimisers (cli.test.cpp has the operations).
#include <doctest/doctest.h>

#include <functional>

#include "engine/io/safetensors.h"
#include "engine/kernels/onednn/backend.h"
#include "models/config_json.h"
#include "optim/groups.h"
#include "tests/apps/support.h"
#include "tests/support/paths.h"

namespace blalm {
namespace {

using testing::contains;
using testing::Folder;
using testing::kGolden;
using testing::Outcome;
using testing::run_blalm;

// The tensors and metadata of a safetensors file, to be changed and written again.
struct GoldenCase {
  explicit GoldenCase(const std::string& name) {
    const SafetensorsFile file = SafetensorsFile::open(kGolden + "/" + name);
    metadata = file.metadata();
    for (const std::string& tensor : file.names()) tensors[tensor] = file.load(tensor);
  }
  std::string write(const Folder& folder, const std::string& name) const {
    SafetensorsWriter writer;
    for (const auto& [key, value] : metadata) writer.metadata(key, value);
    for (const auto& [key, tensor] : tensors) writer.add(key, tensor);
    writer.write(folder.path / name);
    return folder / name;
  }
  SafetensorsMetadata metadata;
  std::map<std::string, Tensor> tensors;
};

void replace(std::string& text, const std::string& from, const std::string& to) {
  REQUIRE(text.find(from) != std::string::npos);
  text.replace(text.find(from), from.size(), to);
}

// A model of odd sizes with all its results, computed here in f64: what the program then has to reproduce.
GoldenCase untied_case() {
  GoldenCase c("model-full.safetensors");
  ModelConfig config = config_from_json(c.metadata["config"]);
  config.vocab_size = 23;
  config.hidden_size = 36;
  config.num_attention_heads = 3;
  config.intermediate_size = 20;
  config.num_hidden_layers = 3;
  config.swa_window = 7;
  config.tie_word_embeddings = false;
  c.metadata["config"] = to_json(config);
  c.tensors.clear();
  LanguageModel model(config, {.seed = 3, .dtype = DType::f64});
  std::vector<std::int32_t> ids, targets;
  Rng rng(8);
  for (int i = 0; i < 2 * 19; ++i) {
    ids.push_back(static_cast<std::int32_t>(rng.below(23)));
    targets.push_back(i % 5 == 0 ? -1 : static_cast<std::int32_t>(rng.below(23)));
  }
  for (Parameter* p : model.parameters()) {
    Tensor noise = Tensor::empty(p->value.shape(), DType::f64);
    Rng(4, stream_of(p->name)).fill_normal(noise, 0, 0.2);
    Tensor rounded = Tensor::empty(p->value.shape());
    float* r = rounded.mutable_data<float>();
    const bool input_gate = p->name.ends_with("igate.bias");
    for (std::int64_t i = 0; i < noise.numel(); ++i)
      r[i] = static_cast<float>((input_gate ? 0 : p->value.at(i)) + noise.at(i));
    p->value.copy_from(rounded);
    c.tensors["param/" + p->name] = rounded;
  }
  c.tensors["ids"] = Tensor::from_ids({2, 19}, ids);
  c.tensors["targets"] = Tensor::from_ids({2, 19}, targets);
  Tape logits_tape, tape;
  c.tensors["logits"] = model.logits(logits_tape, c.tensors["ids"]).value();
  const Var loss = model.loss(tape, c.tensors["ids"], c.tensors["targets"]);
  tape.backward(loss);
  c.tensors["loss"] = loss.value();
  for (Parameter* p : model.parameters()) c.tensors["grad/" + p->name] = p->grad;
  return c;
}

// In a build without oneDNN --backend onednn is an error, in one line.
bool has_onednn() { return kernels::onednn::unavailable() == nullptr; }
std::string onednn_or_auto() { return has_onednn() ? "--backend onednn" : "--backend auto"; }

}  // namespace

TEST_CASE("the backend onednn passes, or is refused where it is not built in") {
  for (const std::string& command :
       {"check '" + kGolden + "/op-hedgehog.safetensors'",
        std::string("bench step --preset mlstm --size nano --batch 1 --seq 8 --repeats 1")}) {
    const Outcome o = run_blalm(command + " --backend onednn");
    if (has_onednn()) {
      CHECK_MESSAGE(o.exit_code == 0, o.output);
    } else {
      CHECK(o.exit_code == 2);
      CHECK(o.output == "blalm: [backend] expected auto or cpu, got onednn (built with -DBLALM_ONEDNN=OFF)\n");
    }
  }
}

TEST_CASE("check passes golden models and optimisers, in every form and with every backend") {
  for (const std::string& more :
       {std::string("--backend cpu"), onednn_or_auto() + " --form parallel", std::string("--form recurrent"),
        std::string("--composed --dtype f32"), std::string("--dtype f64 --tolerance 1e-6")}) {
    const Outcome o =
        run_blalm("check '" + kGolden + "/model-full.safetensors' '" + kGolden + "'/optim-*.safetensors " + more);
    CHECK_MESSAGE(o.exit_code == 0, o.output);
    CHECK(contains(o, "  logits "));
    CHECK(contains(o, "  loss "));
    CHECK(contains(o, "  grad/model.layers.1.mlstm.swa_alpha "));
    CHECK(contains(o, "  after/5/model.layers.0.mlstm.igate.weight "));
    // 2 + 48 parameters of the model; 5 steps of 8 parameters for each optimiser.
    CHECK_MESSAGE(contains(o, "\n130 passed, 0 failed\n"), o.output);
  }
  for (const std::string more : {"", " --composed"}) {
    const Outcome all = run_blalm("check '" + kGolden + "'/model-*.safetensors" + more);
    CHECK_MESSAGE(all.exit_code == 0, all.output);
  }
}

TEST_CASE("models in bf16 have tolerances of their own, which a wrong gradient breaks") {
  const std::string bf16 = " --dtype bf16";
  for (const std::string more : {"", " --backend cpu", " --form recurrent", " --composed"}) {
    const Outcome o = run_blalm("check '" + kGolden + "'/model-*.safetensors" + bf16 + more);
    CHECK_MESSAGE(o.exit_code == 0, o.output);
  }
  CHECK(run_blalm("check '" + kGolden + "/model-conv.safetensors' --tolerance 1e-2" + bf16).exit_code == 4);
  const Folder folder;
  const GoldenCase model("model-swa.safetensors");
  const std::string gate = "grad/model.layers.0.mlstm.igate.";
  for (const std::string& tensor :
       {std::string("logits"), std::string("loss"), std::string("grad/model.norm.weight"), gate + "weight"}) {
    GoldenCase c = model;
    c.tensors[tensor] = model.tensors.at(tensor).clone();
    float* x = c.tensors[tensor].mutable_data<float>();
    for (std::int64_t i = 0; i < c.tensors[tensor].numel(); ++i) x[i] *= 0.5F;
    const Outcome o = run_blalm("check " + c.write(folder, "m.safetensors") + bf16);
    CHECK(o.exit_code == 4);
    CHECK_MESSAGE(contains(o, "\n33 passed, 1 failed\n"), o.output);
  }
  // The bias of a gate is compared on the scale of its weight.
  GoldenCase c = model;
  c.tensors[gate + "bias"] = Tensor::full({2}, 0.2);
  const Outcome o = run_blalm("check " + c.write(folder, "m.safetensors") + bf16);
  CHECK_MESSAGE(contains(o, "\n33 passed, 1 failed\n"), o.output);
}

TEST_CASE("a model of other sizes, with an untied head and ignored targets, is checked like any") {
  const Folder folder;
  GoldenCase c = untied_case();
  REQUIRE(c.tensors.contains("param/lm_head.weight"));
  const Outcome o = run_blalm("check " + c.write(folder, "any-name.safetensors"));
  CHECK_MESSAGE(o.exit_code == 0, o.output);
  CHECK(contains(o, "  grad/lm_head.weight "));
  CHECK(contains(o, "  grad/model.layers.2.mlp.up_proj.weight "));
}

TEST_CASE("a wrong result is a mismatch that is named, in models and optimisers") {
  const Folder folder;
  GoldenCase model("model-full.safetensors");
  for (const char* tensor : {"logits", "loss", "grad/model.norm.weight", "grad/model.layers.0.mlstm.igate.bias"}) {
    GoldenCase c = model;
    c.tensors[tensor] = model.tensors[tensor].clone();
    float* x = c.tensors[tensor].mutable_data<float>();
    for (std::int64_t i = 0; i < c.tensors[tensor].numel(); ++i) x[i] *= 1.01F;
    const Outcome o = run_blalm("check " + c.write(folder, "m.safetensors"));
    CHECK(o.exit_code == 4);
    CHECK(contains(o, "\n49 passed, 1 failed\n"));
  }
  GoldenCase optim("optim-muon.safetensors");
  optim.tensors["after/3/model.norm.weight"].mutable_data<float>()[0] += 0.01F;
  const Outcome o = run_blalm("check " + optim.write(folder, "o.safetensors"));
  CHECK(o.exit_code == 4);
  CHECK(contains(o, "\n39 passed, 1 failed\n"));
}

TEST_CASE("which optimiser it is shows in the numbers, not in the file's name, and an attribute may say it") {
  const Folder folder;
  for (const std::string kind : {"adamw", "muon"}) {
    GoldenCase c("optim-" + kind + ".safetensors");
    CHECK(run_blalm("check " + c.write(folder, "steps.safetensors")).exit_code == 0);
    for (const std::string said : {"adamw", "muon"}) {
      GoldenCase other = c;
      other.metadata["attrs"] =
          c.metadata["attrs"].substr(0, c.metadata["attrs"].size() - 1) + ", \"optimizer\": \"" + said + "\"}";
      CHECK(run_blalm("check " + other.write(folder, "steps.safetensors")).exit_code == (said == kind ? 0 : 4));
    }
    GoldenCase other = c;
    replace(other.metadata["attrs"], "\"lr\": 0.01", "\"lr\": 0.02");
    CHECK(run_blalm("check " + other.write(folder, "steps.safetensors")).exit_code == 4);
  }
}

TEST_CASE("the roles that names stand for are those that models give") {
  int seen = 0;
  for (const std::string& preset : preset_names())
    for (const bool tied : {true, false}) {
      ModelConfig config;
      apply_preset(config, preset);
      apply_size(config, "nano");
      config.tie_word_embeddings = tied;
      const LanguageModel model(config, {.values = Values::none});
      for (const auto& shaped : model.shaped_parameters()) {
        const Parameter& parameter = *shaped.parameter;
        CHECK_MESSAGE(role_of_name(parameter.name, shaped.shape.rank()) == parameter.role, parameter.name);
        ++seen;
      }
    }
  CHECK(seen > 500);
}

TEST_CASE("what does not fit in a file is refused with all that is wrong, before anything is computed") {
  const Folder folder;
  const auto refused = [&](const char* base, const std::function<void(GoldenCase&)>& change,
                           const std::vector<std::string>& words) {
    GoldenCase c(base);
    change(c);
    const Outcome o = run_blalm("check " + c.write(folder, "bad.safetensors"));
    CHECK_MESSAGE(o.exit_code == 3, o.output);
    CHECK(contains(o, "bad.safetensors"));
    CHECK(contains(o, "0 passed, 1 failed\n"));
    for (const std::string& w : words) CHECK_MESSAGE(contains(o, w), o.output);
    CHECK(std::count(o.output.begin(), o.output.end(), '\n') == 2);
  };
  const char* model = "model-conv.safetensors";
  refused(model,
          [](GoldenCase& c) {
            c.tensors.erase("grad/model.norm.weight");
            c.tensors.erase("param/model.layers.1.mlp.up_proj.weight");
            c.tensors["param/model.extra"] = Tensor::zeros({2});
            c.tensors["param/model.norm.weight"] = Tensor::zeros({31});
            c.tensors["targets"] = Tensor::zeros({2, 90});
          },
          {"grad/model.norm.weight is missing", "param/model.layers.1.mlp.up_proj.weight is missing",
           "param/model.extra has no place", "param/model.norm.weight is [31], not [32]",
           "targets holds F32, not integers"});
  refused(model, [](GoldenCase& c) { replace(c.metadata["config"], "\"hidden_size\": 32", "\"hidden_size\": 1600000"); },
          {"not [97, 1600000]"});
  refused(model, [](GoldenCase& c) { replace(c.metadata["config"], "\"hidden_size\"", "\"hiden_size\""); },
          {"did you mean hidden_size?"});
  refused(model,
          [](GoldenCase& c) { replace(c.metadata["config"], "\"num_attention_heads\": 2", "\"num_attention_heads\": 3"); },
          {"divides hidden_size"});
  refused(model, [](GoldenCase& c) { c.metadata["config"] = "[1"; }, {"JSON"});
  refused(model, [](GoldenCase& c) { c.tensors["ids"] = Tensor::zeros({180}, DType::i32); },
          {"ids is [180], not [batch, length]"});
  refused(model, [](GoldenCase& c) { c.tensors["ids"].mutable_data<std::int32_t>()[5] = 97; }, {"97"});
  refused(model, [](GoldenCase& c) { c.tensors.erase("loss"); }, {"loss is missing"});

  const char* optim = "optim-adamw.safetensors";
  refused(optim, [](GoldenCase& c) { c.tensors.erase("after/4/model.norm.weight"); },
          {"after/4/model.norm.weight is missing"});
  refused(optim, [](GoldenCase& c) { c.tensors["grad/6/model.norm.weight"] = Tensor::zeros({24}); },
          {"grad/6/model.norm.weight has no place"});
  refused(optim, [](GoldenCase& c) { c.tensors["grad/2/model.norm.weight"] = Tensor::zeros({25}); },
          {"grad/2/model.norm.weight is [25], not [24]"});
  refused(optim, [](GoldenCase& c) { replace(c.metadata["attrs"], "\"ns_steps\": 5", "\"ns_steps\": 1e9"); }, {"ns_steps"});
  refused(optim, [](GoldenCase& c) { replace(c.metadata["attrs"], "[0.9, 0.95]", "[0.9]"); }, {"two betas"});
  refused(optim, [](GoldenCase& c) { replace(c.metadata["attrs"], "\"lr\": 0.01", "\"lr\": \"x\""); },
          {"a number for attribute 'lr'"});
  refused(optim, [](GoldenCase& c) { std::erase_if(c.tensors, [](const auto& t) { return t.first.starts_with("after/"); }); },
          {"no tensor after/1"});
  refused(optim, [](GoldenCase& c) { c.tensors["grad/1/model.norm.weight"].mutable_data<float>()[0] = NAN; },
          {"finite gradients"});
  refused("op-rms-norm.safetensors", [](GoldenCase& c) { c.tensors["grad/y"] = Tensor::zeros({2}); },
          {"grad/y has no place"});
}

}  // namespace blalm
