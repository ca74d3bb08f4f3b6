#include "data/text/corpus_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "data/text/same_text.h"
#include "engine/core/error.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> paths_of(const std::vector<SourcePlan>& plans) {
  std::vector<fs::path> paths;
  for (const SourcePlan& plan : plans) paths.push_back(plan.path);
  return paths;
}

// Reads a training file, chooses its held-out lines, and gives what it has.
TextStats survey(SourcePlan& plan, std::int64_t number, const CorpusOptions& options) {
  TextSource source(plan.path, options.text);
  for (TextLine line; source.next(line);) continue;
  plan.held_out = hold_out(source.stats().lines, options.valid_share, options.seed, number);
  return source.stats();
}

// The words of the lines that are not held out. Which these are is known only after a first reading; a table of the
// words of each line would save this one, and take as much memory as the lines of a file ask for.
std::int64_t words_to_train(const SourcePlan& plan, const TextOptions& options) {
  TextSource source(plan.path, options);
  TextLine line;
  std::int64_t words = 0;
  for (std::int64_t index = 0; source.next(line); ++index)
    if (!plan.held_out.contains(index)) words += line.words;
  return words;
}

// `first`: of each plan the first one with the same text. Training files come before validation files.
void check_disjoint(const std::vector<SourcePlan>& plans, const std::vector<std::size_t>& first) {
  for (std::size_t i = 0; i < plans.size(); ++i) {
    const SourcePlan &plan = plans[i], &other = plans[first[i]];
    if (plan.part != Part::valid || other.part != Part::train) continue;
    const std::string got = plan.path == other.path
                                ? fmt::format("'{}' in data.train and data.valid", plan.path.string())
                                : fmt::format("'{}' in data.valid, the text of '{}' in data.train", plan.path.string(),
                                              other.path.string());
    throw DataError(expected_got("data", "validation files that are not trained on", got));
  }
}

}  // namespace

std::string no_words_in(const std::vector<FileLines>& files) {
  constexpr std::size_t kNamed = 3;
  const auto why = [](const FileLines& file) { return file.lines == 0 ? "empty" : "only blank lines"; };
  if (files.size() == 1)
    return fmt::format("no words in '{}', which {} {}", files[0].path.string(), files[0].lines == 0 ? "is" : "has",
                       why(files[0]));
  std::string text = "no words in";
  for (std::size_t i = 0; i < std::min(kNamed, files.size()); ++i)
    text += fmt::format("{} '{}' ({})", i == 0 ? "" : ",", files[i].path.string(), why(files[i]));
  return files.size() > kNamed ? fmt::format("{} and {} more", text, files.size() - kNamed) : text;
}

std::string_view name_of(Part part) { return part == Part::train ? "train" : "valid"; }

std::vector<std::int64_t> share_out(std::int64_t total, std::span<const std::int64_t> available) {
  const std::int64_t sum = std::accumulate(available.begin(), available.end(), std::int64_t{0});
  std::vector<std::int64_t> shares(available.begin(), available.end());
  if (sum <= total) return shares;
  std::vector<std::size_t> order(available.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::vector<std::int64_t> remainders(available.size());
  std::int64_t left = total;
  for (std::size_t i = 0; i < available.size(); ++i) {
    const auto product = static_cast<__int128>(total) * available[i];
    shares[i] = static_cast<std::int64_t>(product / sum);
    remainders[i] = static_cast<std::int64_t>(product % sum);
    left -= shares[i];
  }
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  for (std::size_t i = 0; left > 0; ++i, --left) ++shares[order[i]];
  return shares;
}

std::vector<SourcePlan> plan_corpus(const std::vector<SourceSpec>& train, const std::vector<SourceSpec>& valid,
                                    const CorpusOptions& options) {
  if (train.empty()) throw DataError(expected_got("data.train", "at least one file or folder", "none"));
  std::vector<SourcePlan> plans;
  for (const SourceSpec& spec : train) plans.push_back({spec.path, Part::train, spec.words, {}});
  for (const SourceSpec& spec : valid) plans.push_back({spec.path, Part::valid, spec.words, {}});
  const std::vector<std::size_t> first = first_of_same_text(paths_of(plans), options.text.pulse);
  check_disjoint(plans, first);
  for (std::size_t i = 0; i < plans.size(); ++i)
    if (first[i] != i) plans[i].same_as = plans[first[i]].path;

  CorpusOptions chosen = options;
  if (!valid.empty()) chosen.valid_share = 0;
  if (chosen.valid_share <= 0 && chosen.words == kAllWords) return plans;
  std::vector<std::int64_t> available;
  std::vector<FileLines> files;
  std::int64_t words = 0;
  for (std::size_t i = 0; i < train.size(); ++i) {
    const TextStats all = survey(plans[i], static_cast<std::int64_t>(first[i]), chosen);
    const bool counts = chosen.words != kAllWords && !plans[i].held_out.blocks.empty();
    available.push_back(std::min(plans[i].words, counts ? words_to_train(plans[i], chosen.text) : all.words));
    files.push_back({plans[i].path, all.lines});
    words += all.words;
  }
  if (words == 0) throw DataError(expected_got("data.train", "text to train on", no_words_in(files)));
  if (chosen.valid_share > 0 &&
      std::ranges::all_of(plans, [](const SourcePlan& p) { return p.held_out.blocks.empty(); })) {
    throw DataError(expected_got("data.valid_share", "a share that holds out at least one line",
                                 fmt::format("{} of too few lines", chosen.valid_share),
                                 "a larger share, or name files in data.valid"));
  }
  const std::vector<std::int64_t> shares = share_out(chosen.words, available);
  for (std::size_t i = 0; i < train.size(); ++i)
    if (shares[i] < available[i]) plans[i].words = shares[i];
  return plans;
}

}  // namespace blalm
