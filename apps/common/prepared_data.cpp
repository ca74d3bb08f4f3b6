#include "apps/common/prepared_data.h"

#include <fmt/format.h>

#include <chrono>

#include "data/shards/data_folder.h"
#include "data/shards/text_encoder.h"
#include "data/text/character_class.h"
#include "data/text/samples.h"
#include "data/tokenizer/bpe_trainer.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Tokenizer train_tokenizer(const DataConfig& config, const std::vector<SourcePlan>& plan, const TextOptions& text,
                          Progress& progress) {
  BpeTrainer trainer({.vocab_size = static_cast<std::int32_t>(config.vocab_size),
                      .special_tokens = {"<pad>", config.bos, config.eos}});
  std::int64_t lines = 0;
  read_training_text(plan, text, config.separator, [&](std::span<const std::string_view> texts) {
    trainer.count(texts);
    lines += static_cast<std::int64_t>(texts.size());
    progress.update(fmt::format("tokenizer: {} lines counted", human_count(static_cast<double>(lines))));
  });
  progress.update("tokenizer: learning merges");
  return trainer.train();
}

// "reading a.txt.xz: 1.05GB of text from 152kB"
std::string described(const ReadProgress& read) {
  const auto count = [](std::int64_t n) { return human_count(static_cast<double>(n)); };
  std::string text =
      fmt::format("reading {}: {}B of text", utf8::printable(read.file.filename().string()), count(read.text_bytes));
  if (read.file_bytes != read.text_bytes) text += fmt::format(" from {}B", count(read.file_bytes));
  return text;
}

std::vector<std::string> repeated_texts(const std::vector<SourcePlan>& plan) {
  std::vector<std::string> sentences;
  for (const SourcePlan& p : plan)
    if (!p.same_as.empty())
      sentences.push_back(
          fmt::format("'{}' has the text of '{}': it counts again", p.path.string(), p.same_as.string()));
  return sentences;
}

}  // namespace

ReadyData ready_data(DataConfig config, const fs::path& folder, Progress& progress, void (*stop)(), bool replace) {
  if (config.train.size() == 1 && is_prepared(config.train[0])) {
    if (!config.tokenizer.empty())
      throw ConfigError(expected_got("data.tokenizer", "none, for prepared data has its own", config.tokenizer));
    auto read = std::make_unique<ReadFolder>(config.train[0], "data");
    return {config.train[0], Tokenizer::load(config.train[0]), 0, std::nullopt, {}, {}, nullptr, std::move(read)};
  }
  if (config.train.empty()) {
    config.train = sample_files(samples_folder(), Part::train);
    if (config.valid.empty()) config.valid = sample_files(samples_folder(), Part::valid);
  }
  std::vector<fs::path> left_out;
  const std::vector<SourcePlan> plan = config.plan(&left_out, [&](const ReadProgress& read) {
    if (stop != nullptr) stop();
    progress.update(described(read));
  });
  auto owned = std::make_unique<OwnedFolder>(folder, "data");  // now, not after the tokenizer
  require_data_folder(folder);
  const auto start = std::chrono::steady_clock::now();
  const bool given = !config.tokenizer.empty();
  TextOptions text = config.corpus_options().text;
  if (stop != nullptr) text.pulse = [stop](const ReadProgress&) { stop(); };

  PrepareOptions options;
  options.replace = replace;
  options.separator = config.separator;
  options.text = text;
  const Fields fields = config.fields();
  for (const std::string key : kTextKeys) {
    const bool said_apart = key == "separator", of_split = key == "valid_share" || key == "split_seed",
               unused = (of_split && !config.valid.empty()) || (key == "vocab_size" && given);
    if (!said_apart && !unused) options.settings[key] = fields.at("data." + key).get();
  }
  refuse_other_data(folder, options);
  Tokenizer tokenizer = given ? Tokenizer::load(config.tokenizer) : train_tokenizer(config, plan, text, progress);
  const double tokenizer_seconds = given ? 0 : seconds_since(start);

  options.progress = [&](const PrepareProgress& p) {
    if (stop != nullptr) stop();
    const auto count = [](std::int64_t n) { return human_count(static_cast<double>(n)); };
    progress.update(
        fmt::format("tokens: {} from {} words, {}B of text", count(p.tokens), count(p.words), count(p.bytes)), 0, 0);
  };
  options.write_beside = [&](const fs::path& into) { tokenizer.save(into / "tokenizer.json"); };
  PrepareReport report = prepare(plan, encoder_of(tokenizer, config.bos, config.eos), *owned, options);
  progress.clear();
  return {folder,
          std::move(tokenizer),
          tokenizer_seconds,
          std::move(report),
          std::move(left_out),
          repeated_texts(plan),
          std::move(owned),
          nullptr};
}

}  // namespace blalm
