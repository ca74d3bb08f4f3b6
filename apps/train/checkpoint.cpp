#include "apps/train/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/train/checkpoint_room.h"
#include "data/shards/fingerprint.h"
#include "engine/core/error.h"
#include "engine/core/utf8.h"
#include "engine/io/atomic_file.h"
#include "engine/io/json_field.h"
#include "engine/io/json_text.h"
#include "engine/io/mapped_file.h"
#include "engine/io/safetensors.h"
#include "models/model_folder.h"
#include "optim/real.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kNames[] = {"last", "last.new", "last.previous"};

// Also a link that leads nowhere or into a loop is there.
bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::symlink_status(path, error).type() != fs::file_type::not_found;
}

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

// Anew; taken away again when it cannot be filled, for what is left of a full disk others need. Failures of the file
// system that the library throws become a DataError like all others.
void fill_folder(const fs::path& folder, const std::function<void()>& fill) {
  make_empty_folder(folder);
  const auto give_up = [&] {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
  };
  try {
    fill();
  } catch (const fs::filesystem_error& e) {
    give_up();
    throw DataError(expected_got("write", fmt::format("a writable folder '{}'", folder.string()), e.code().message()));
  } catch (...) {
    give_up();
    throw;
  }
}

// JSON has no numbers that are not finite, but a loss may be one.
json number(double x) { return std::isfinite(x) ? json(x) : json(fmt::format("{}", x)); }
double number_in(const JsonField& object, std::string_view key) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN(), kInfinity = std::numeric_limits<double>::infinity();
  const JsonField field = object[key];
  if (field.value().is_number()) return field.value().get<double>();
  for (const double x : {kNan, -kNan, kInfinity, -kInfinity})
    if (field.value() == number(x)) return x;
  field.fail("a number");
}

std::int64_t count_in(const JsonField& object, std::string_view key) {
  return object[key].integer(0, std::numeric_limits<std::int64_t>::max());
}

std::uint64_t hash_in(const JsonField& object, std::string_view key) {
  const JsonField field = object[key];
  if (!field.value().is_number_unsigned()) field.fail("a whole number of 64 bits");
  return field.value().get<std::uint64_t>();
}

std::optional<Validation> validation_in(const JsonField& object, std::string_view key) {
  const JsonField field = object[key];
  if (field.is_null()) return {};
  return Validation{count_in(field, "step"), number_in(field, "loss")};
}

json to_json(const RunPosition& p) {
  json j = {{"step", p.step},
            {"epoch", p.loader.epoch},
            {"block", p.loader.block},
            {"loader_identity", p.loader_identity},
            {"words", p.words},
            {"tokens", p.tokens},
            {"seconds", p.seconds},
            {"loss_sum", p.loss_sum},
            {"loss_weight", p.loss_weight},
            {"validations_without_gain", p.validations_without_gain}};
  for (const auto& [key, valid] : {std::pair("best", p.best), std::pair("latest", p.latest)})
    if (valid) j[key] = {{"step", valid->step}, {"loss", number(valid->loss)}};
  if (p.skipped.count > 0)
    j["skipped"] = {{"count", p.skipped.count}, {"first", p.skipped.first}, {"parameter", p.skipped.parameter}};
  if (const auto& u = p.unfinished)
    j["unfinished"] = {{"loss", number(u->loss)},
                       {"lr", number(u->lr)},
                       {"grad_norm", number(u->grad_norm)},
                       {"tokens_per_second", number(u->tokens_per_second)},
                       {"non_finite", u->non_finite}};
  return j;
}

RunPosition position_from(const json& document) {
  const JsonField root = JsonField::root(document, "state.json");
  RunPosition p;
  p.step = count_in(root, "step");
  p.loader = {count_in(root, "epoch"), count_in(root, "block")};
  p.loader_identity = hash_in(root, "loader_identity");
  p.words = count_in(root, "words");
  p.tokens = count_in(root, "tokens");
  p.seconds = number_in(root, "seconds");
  p.loss_sum = number_in(root, "loss_sum");
  p.loss_weight = number_in(root, "loss_weight");
  p.validations_without_gain = count_in(root, "validations_without_gain");
  p.best = validation_in(root, "best");
  p.latest = validation_in(root, "latest");
  if (const JsonField s = root["skipped"]; !s.is_null())
    p.skipped = {count_in(s, "count"), count_in(s, "first"), s["parameter"].string()};
  if (const JsonField u = root["unfinished"]; !u.is_null())
    p.unfinished = {number_in(u, "loss"), number_in(u, "lr"), number_in(u, "grad_norm"),
                    number_in(u, "tokens_per_second"), u["non_finite"].string()};
  return p;
}

// What is wrong with a checkpoint; empty when it is whole, and `position` is then set.
std::string damage(const fs::path& folder, RunPosition& position) {
  std::string at = "DONE";
  try {
    const MappedFile done_file(folder / "DONE");
    const json done = parse_json(done_file.text(), "DONE", kSmallJson);
    const JsonField files = JsonField::root(done, "DONE")["files"];
    if (!files.is_object()) files.fail("an object");
    for (const auto& item : files.value().items()) {
      const std::string& name = item.key();
      const JsonField entry = files[name];
      at = name;
      if (name.find('/') != std::string::npos) return name + ": no plain file name";
      const MappedFile file(folder / name);
      if (const std::int64_t bytes = count_in(entry, "bytes"); std::cmp_not_equal(file.size(), bytes))
        return fmt::format("{}: {} bytes instead of {}", name, file.size(), bytes);
      if (fingerprint_of(file.text()).str() != entry["xxh3"].string()) return name + ": its contents have changed";
    }
    at = "state.json";
    const MappedFile state(folder / "state.json");
    position = position_from(parse_json(state.text(), "state.json", kSmallJson));
  } catch (const Error& e) {
    return fmt::format("{}: {}", at, e.what());
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
  write_file_atomically(folder / "DONE", json_text(json({{"files", files}})) + "\n");
}

void write_tokenizer(const fs::path& folder, const TokenizerFiles& tokenizer) {
  for (const auto& [name, content] : tokenizer) write_file_atomically(folder / name, content);
}

// What last/ and best/ hold beside weights and optimiser; DONE comes last.
void write_rest(const fs::path& folder, const RunPosition& position, const TokenizerFiles& tokenizer) {
  write_tokenizer(folder, tokenizer);
  write_file_atomically(folder / "state.json", json_text(to_json(position)) + "\n");
  write_done(folder);
}

// RUN/NAME/ becomes what `fill` writes; the one before it becomes NAME.previous/, and goes unless it is kept.
void replace_folder(const fs::path& run, const std::string& name, bool keep_previous,
                    const std::function<void(const fs::path&)>& fill) {
  const fs::path fresh = run / (name + ".new"), last = run / name, previous = run / (name + ".previous");
  fill_folder(fresh, [&] { fill(fresh); });
  if (is_there(last)) {
    remove_folder(previous);
    rename_folder(last, previous);
  }
  rename_folder(fresh, last);
  if (!keep_previous) remove_folder(previous);
  sync_folder(run);
}

}  // namespace

void RunPosition::add_loss(double loss) {
  constexpr double kKept = 0.95;
  if (!std::isfinite(loss)) return;
  loss_sum = kKept * loss_sum + (1 - kKept) * loss;
  loss_weight = kKept * loss_weight + (1 - kKept);
}

void require_finite(const LanguageModel& model) {
  for (const Parameter* p : model.parameters()) {
    const bool finite = visit_real(p->value.dtype(), [&](auto tag) {
      return std::ranges::all_of(p->value.values<typename decltype(tag)::type>(),
                                 [](auto x) { return std::isfinite(x); });
    });
    if (!finite) throw NumericError(expected_got("checkpoint", "finite weights", "others in " + p->name));
  }
}

void save_checkpoint(const fs::path& run, const LanguageModel& model, const Optimizer& optimizer,
                     const RunPosition& position, const TokenizerFiles& tokenizer, bool keep_previous) {
  require_finite(model);
  if (const auto left = free_bytes(run); left && *left < model_bytes(model) + optimizer_bytes(optimizer))
    remove_folder(run / "last.previous");
  replace_folder(run, "last", keep_previous, [&](const fs::path& fresh) {
    save_model(model, fresh);
    save_optimizer(optimizer, fresh / "optim.safetensors");
    write_rest(fresh, position, tokenizer);
  });
}

void save_best(const fs::path& run, const LanguageModel& model, const RunPosition& position,
               const TokenizerFiles& tokenizer) {
  require_finite(model);
  replace_folder(run, "best", false, [&](const fs::path& fresh) {
    save_model(model, fresh);
    write_rest(fresh, position, tokenizer);
  });
}

void save_milestone(const fs::path& run, const std::string& name, const LanguageModel& model,
                    const TokenizerFiles& tokenizer) {
  const fs::path folder = run / name, fresh = run / (name + ".new");
  if (is_there(folder)) return;
  require_finite(model);
  fill_folder(fresh, [&] {
    save_model(model, fresh);
    write_tokenizer(fresh, tokenizer);
  });
  rename_folder(fresh, folder);
  sync_folder(run);
}

void remove_unfinished(const fs::path& run) {
  std::vector<fs::path> unfinished;
  std::error_code error;
  for (fs::directory_iterator it(run, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool is_ours =
        name.ends_with(".new") && (name.starts_with("last.") || name.starts_with("best.") || name.starts_with("chck_"));
    // last.new/ with its DONE may be all that there is.
    if (is_ours && (name != "last.new" || !is_there(it->path() / "DONE"))) unfinished.push_back(it->path());
  }
  for (const fs::path& folder : unfinished) remove_folder(folder);
}

std::optional<FoundCheckpoint> find_checkpoint(const fs::path& run) {
  std::optional<FoundCheckpoint> best;
  std::vector<std::string> refused;
  for (const std::string name : kNames) {
    if (!is_there(run / name)) continue;
    // A checkpoint that was being written when the run was killed has no DONE: nothing is lost, nothing to report.
    if (name == "last.new" && !is_there(run / name / "DONE")) continue;
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

std::optional<RunPosition> position_of(const fs::path& checkpoint) {
  RunPosition position;
  if (!is_there(checkpoint) || !damage(checkpoint, position).empty()) return {};
  return position;
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
    const std::string& text = it->second;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 0)
      throw FormatError(expected_got(file.path().string(), fmt::format("a count as metadata '{}'", key),
                                     fmt::format("'{}'", utf8::beginning(text, 60))));
    return value;
  };
  state.updates = count("updates");
  state.skipped = count("skipped");
  optimizer.restore(state);
}

}  // namespace blalm
