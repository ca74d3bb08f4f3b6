#include "blalm/apps/train/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "blalm/core/error.h"
#include "blalm/data/fingerprint.h"
#include "blalm/io/atomic_file.h"
#include "blalm/io/mapped_file.h"
#include "blalm/io/safetensors.h"
#include "blalm/models/model_folder.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kNames[] = {"last", "last.new", "last.previous"};

void sync_folder(const fs::path& folder) {
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

void rename_folder(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  if (error)
    throw DataError(
        expected_got("write", fmt::format("to rename '{}' to '{}'", from.string(), to.string()), error.message()));
}

void make_empty_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (!error) fs::create_directories(folder, error);
  if (error)
    throw DataError(expected_got("write", fmt::format("a writable folder '{}'", folder.string()), error.message()));
}

void remove_folder(const fs::path& folder) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (error) throw DataError(expected_got("write", fmt::format("to remove '{}'", folder.string()), error.message()));
}

// Anew; taken away again when it cannot be filled, for what is left of a full disk others need.
void fill_folder(const fs::path& folder, const std::function<void()>& fill) {
  make_empty_folder(folder);
  try {
    fill();
  } catch (const Error&) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    throw;
  }
}

json to_json(const RunPosition& p) {
  return {{"step", p.step},
          {"epoch", p.loader.epoch},
          {"block", p.loader.block},
          {"loader_identity", p.loader_identity},
          {"words", p.words},
          {"tokens", p.tokens},
          {"seconds", p.seconds},
          {"best_valid_loss", p.best_valid_loss},
          {"validations_without_gain", p.validations_without_gain}};
}

RunPosition position_from(const json& j) {
  RunPosition p;
  p.step = j.at("step");
  p.loader = {j.at("epoch"), j.at("block")};
  p.loader_identity = j.at("loader_identity");
  p.words = j.at("words");
  p.tokens = j.at("tokens");
  p.seconds = j.at("seconds");
  p.best_valid_loss = j.at("best_valid_loss");
  p.validations_without_gain = j.at("validations_without_gain");
  return p;
}

// What is wrong with a checkpoint; empty when it is whole, and `position` is then set.
std::string damage(const fs::path& folder, RunPosition& position) {
  std::string at = "DONE";
  try {
    const MappedFile done_file(folder / "DONE");
    const json done = json::parse(done_file.text());
    for (const auto& [name, entry] : done.at("files").items()) {
      at = name;
      if (name.find('/') != std::string::npos) return name + ": no plain file name";
      const MappedFile file(folder / name);
      if (file.size() != entry.at("bytes").get<std::size_t>())
        return fmt::format("{}: {} bytes instead of {}", name, file.size(), entry.at("bytes").get<std::size_t>());
      if (fingerprint_of(file.text()).str() != entry.at("xxh3").get<std::string>())
        return name + ": its contents have changed";
    }
    at = "state.json";
    const MappedFile state(folder / "state.json");
    position = position_from(json::parse(state.text()));
  } catch (const Error& e) {
    return fmt::format("{}: {}", at, e.what());
  } catch (const json::exception&) {
    return at + ": not what a checkpoint holds";
  }
  return {};
}

void save_optimizer(const Optimizer& optimizer, const fs::path& path) {
  const OptimizerState state = optimizer.state();
  SafetensorsWriter writer;
  for (const auto& [name, tensor] : state.tensors) writer.add(name, tensor);
  writer.metadata("updates", std::to_string(state.updates));
  writer.metadata("skipped", std::to_string(state.skipped));
  writer.write(path);
}

void write_done(const fs::path& folder) {
  json files = json::object();
  for (const auto& entry : fs::directory_iterator(folder)) {
    const MappedFile file(entry.path());
    files[entry.path().filename().string()] = {{"bytes", file.size()}, {"xxh3", fingerprint_of(file.text()).str()}};
  }
  write_file_atomically(folder / "DONE", json({{"files", files}}).dump(2) + "\n");
}

}  // namespace

void save_checkpoint(const fs::path& run, const LanguageModel& model, const Optimizer& optimizer,
                     const RunPosition& position, const std::string& tokenizer_json) {
  const fs::path fresh = run / "last.new", last = run / "last", previous = run / "last.previous";
  fill_folder(fresh, [&] {
    save_model(model, fresh);
    save_optimizer(optimizer, fresh / "optim.safetensors");
    write_file_atomically(fresh / "tokenizer.json", tokenizer_json);
    write_file_atomically(fresh / "state.json", to_json(position).dump(2) + "\n");
    write_done(fresh);
  });
  if (fs::exists(last)) {
    remove_folder(previous);
    rename_folder(last, previous);
  }
  rename_folder(fresh, last);
  sync_folder(run);
}

void save_milestone(const fs::path& run, const std::string& name, const LanguageModel& model,
                    const std::string& tokenizer_json) {
  const fs::path folder = run / name, fresh = run / (name + ".new");
  if (fs::exists(folder)) return;
  fill_folder(fresh, [&] {
    save_model(model, fresh);
    write_file_atomically(fresh / "tokenizer.json", tokenizer_json);
  });
  rename_folder(fresh, folder);
  sync_folder(run);
}

std::optional<FoundCheckpoint> find_checkpoint(const fs::path& run) {
  std::optional<FoundCheckpoint> best;
  std::vector<std::string> refused;
  for (const std::string name : kNames) {
    if (!fs::exists(run / name)) continue;
    // A checkpoint that was being written when the run was killed has no DONE: nothing is lost, nothing to report.
    if (name == "last.new" && !fs::exists(run / name / "DONE")) continue;
    RunPosition position;
    if (const std::string wrong = damage(run / name, position); !wrong.empty()) {
      refused.push_back(fmt::format("{}/{}", name, wrong));
    } else if (!best || position.step > best->position.step) {
      best = FoundCheckpoint{run / name, position, {}};
    }
  }
  if (!best && !refused.empty())
    throw DataError(expected_got("resume", fmt::format("a whole checkpoint in '{}'", run.string()),
                                 fmt::format("{}", fmt::join(refused, "; "))));
  if (best) best->refused = refused;
  return best;
}

void load_checkpoint(const FoundCheckpoint& checkpoint, LanguageModel& model, Optimizer& optimizer) {
  const auto loaded = load_model(checkpoint.folder);
  if (loaded->fingerprint() != model.fingerprint())
    throw ConfigError(expected_got("resume", "the model of " + checkpoint.folder.string(), "another configuration"));
  for (Parameter* p : model.parameters()) p->value.copy_from(loaded->find(p->name)->value);

  const SafetensorsFile file = SafetensorsFile::open(checkpoint.folder / "optim.safetensors");
  OptimizerState state;
  for (const std::string& name : file.names()) state.tensors.emplace(name, file.load(name));
  const auto count = [&](const char* key) {
    const auto it = file.metadata().find(key);
    if (it == file.metadata().end())
      throw FormatError(expected_got(file.path().string(), fmt::format("metadata '{}'", key), "none"));
    return std::stoll(it->second);
  };
  state.updates = count("updates");
  state.skipped = count("skipped");
  optimizer.restore(state);
}

}  // namespace blalm
