// fuzz-seeds OUT: writes valid inputs of the targets, OUT/TARGET/NAME, from the golden files and by the writers of our
// own formats.
#include <algorithm>
#include <cstdio>
#include <sstream>

#include "apps/common/run_config.h"
#include "engine/io/safetensors.h"
#include "models/config_json.h"
#include "tests/data/tokenizer_support.h"
#include "tests/fuzz/checkpoint_sample.h"
#include "tests/fuzz/samples.h"

using namespace blalm;

namespace fs = std::filesystem;

namespace {

// An input of a target is as small as it can be: what it holds is tried sooner.
constexpr std::int64_t kTensors = 3, kRows = 1, kMostElements = 64;

void safetensors_seeds(const fs::path& golden, const fs::path& out) {
  for (const auto& entry : fs::directory_iterator(golden)) {
    if (entry.path().extension() != ".safetensors") continue;
    const SafetensorsFile file = SafetensorsFile::open(entry.path());
    SafetensorsWriter writer;
    std::int64_t taken = 0;
    for (const std::string& name : file.names()) {
      const Tensor tensor = file.load(name);
      const Tensor part = tensor.rank() == 0 ? tensor : tensor.rows(0, std::min(kRows, tensor.dim(0)));
      if (part.numel() > kMostElements || taken == kTensors) continue;
      writer.add(name, part);
      ++taken;
    }
    for (const auto& [key, value] : file.metadata()) writer.metadata(key, value);
    const fs::path path = out / entry.path().filename();
    writer.write(path);
    test::write_plainly(path.string() + ".header", test::read_plainly(path).substr(8));
  }
}

// Every variant of the golden tokenizer, with the bytes of ASCII and a few merges.
void tokenizer_seeds(const fs::path& out) {
  nlohmann::json tiny = testing::tiny_document();
  nlohmann::json& vocab = tiny["model"]["vocab"];
  std::erase_if(vocab.get_ref<nlohmann::json::object_t&>(), [](const auto& entry) {
    const int id = entry.second;
    return id >= 100 && (id < 259 || id >= 275);
  });
  const nlohmann::json::array_t merges = tiny["model"]["merges"];
  tiny["model"]["merges"] = nlohmann::json::array();
  for (const auto& merge : merges) {
    const std::string left = merge[0], right = merge[1];
    if (vocab.contains(left) && vocab.contains(right) && vocab.contains(left + right))
      tiny["model"]["merges"].push_back(merge);
  }
  const nlohmann::json cases = nlohmann::json::parse(testing::read_file(testing::kTokenizerFolder + "/cases.json"));
  int number = 0;
  for (const auto& variant : cases["variants"]) {
    nlohmann::json patch = variant["patch"];
    if (patch.contains("model")) patch["model"].erase("merges");  // all of them, of which most tokens are gone
    test::write_plainly(out / std::to_string(number++), testing::patched(tiny, patch).dump());
  }
}

// The comments are longer than the settings.
std::string without_comments(const std::string& toml) {
  std::string lines;
  std::istringstream in(toml);
  for (std::string line; std::getline(in, line);)
    lines += line.substr(0, line.find_last_not_of(' ', line.find(" #")) + 1) + "\n";
  return lines;
}

void config_seeds(const fs::path& configs, const fs::path& settings) {
  for (const std::string& preset : preset_names()) {
    RunConfig config;
    config.configure({{"preset", preset, "seeds"}, {"size", "nano", "seeds"}});
    test::write_plainly(configs / preset, to_json(config.model));
    test::write_plainly(settings / preset, without_comments(config.to_toml()));
  }
}

void data_seeds(const fs::path& shards, const fs::path& manifests) {
  for (const std::int64_t vocab_size : {300, 70'000}) {
    const test::TempFolder folder;
    fuzz::prepare_sample(folder.path(), vocab_size);
    const std::string name = std::to_string(vocab_size);
    fs::copy_file(folder / "train-00000.bin", shards / name);
    fs::copy_file(folder / "data.json", manifests / name);
  }
}

void checkpoint_seeds(const fs::path& out) {
  const test::TempFolder run;
  const fuzz::CheckpointSample sample(run.path());
  const auto part = [&](const char* name) { return test::read_plainly(run / "last" / name); };
  test::write_plainly(out / "state", part("state.json"));
  test::write_plainly(out / "done", "\n%%\n" + part("DONE"));
  test::write_plainly(out / "optimizer", "\n%%\n\n%%\n" + part("optim.safetensors"));
  test::write_plainly(out / "config", "\n%%\n\n%%\n\n%%\n" + part("config.json"));
}

void copy_seeds(const fs::path& golden, const fs::path& out, std::string_view with) {
  for (const auto& entry : fs::directory_iterator(golden))
    if (entry.path().filename().string().find(with) != std::string::npos)
      fs::copy_file(entry.path(), out / entry.path().filename());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: fuzz-seeds OUT\n", stderr);
    return 2;
  }
  const fs::path golden = testing::golden_folder();
  const auto target = [&](const char* name) {
    const fs::path folder = fs::path(argv[1]) / name;
    fs::remove_all(folder);
    fs::create_directories(folder);
    return folder;
  };
  safetensors_seeds(golden, target("safetensors"));
  config_seeds(target("config"), target("toml"));
  data_seeds(target("shard"), target("manifest"));
  checkpoint_seeds(target("checkpoint"));
  tokenizer_seeds(target("tokenizer"));
  copy_seeds(golden / "text", target("archive"), ".txt.");
  return 0;
}
