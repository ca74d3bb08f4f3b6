#include "blalm/data/corpus_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include "blalm/core/error.h"
#include "blalm/data/varint.h"

namespace blalm {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kLinesAPulse = 1 << 14;

fs::path place_of(const SourcePlan& plan) { return fs::weakly_canonical(plan.path); }

// Chooses the held-out lines of a file and returns how many words its other lines have. `all`: of all its lines.
std::int64_t survey(SourcePlan& plan, std::int64_t number, const CorpusOptions& options, TextStats& all) {
  TextSource source(plan.path, options.text);
  std::vector<std::byte> words_by_line;  // the choice depends on the number of lines, known at the end
  TextLine line;
  while (source.next(line)) {
    put_varint(static_cast<std::uint64_t>(line.words), words_by_line);
    if (options.pulse && source.stats().lines % kLinesAPulse == 0) options.pulse();
  }
  all = source.stats();
  plan.held_out = hold_out(source.stats().lines, options.valid_share, options.seed, number);
  if (plan.held_out.blocks.empty()) return source.stats().words;
  std::int64_t words = 0, index = 0;
  for (std::span<const std::byte> rest = words_by_line; !rest.empty(); ++index) {
    const std::int64_t here = take_varint(rest).value();
    if (!plan.held_out.contains(index)) words += here;
  }
  return words;
}

void check_disjoint(const std::vector<SourcePlan>& plans) {
  std::set<fs::path> train;
  for (const SourcePlan& plan : plans)
    if (plan.part == Part::train) train.insert(place_of(plan));
  for (const SourcePlan& plan : plans) {
    if (plan.part == Part::valid && train.contains(place_of(plan))) {
      throw DataError(expected_got("data", "validation files that are not trained on",
                                   fmt::format("'{}' in data.train and data.valid", plan.path.string())));
    }
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
  check_disjoint(plans);

  CorpusOptions chosen = options;
  if (!valid.empty()) chosen.valid_share = 0;
  if (chosen.valid_share <= 0 && chosen.words == kAllWords) return plans;
  std::vector<std::int64_t> available;
  std::vector<FileLines> files;
  std::map<fs::path, std::int64_t> numbers;  // of the first time that the file is named
  std::int64_t words = 0;
  for (std::size_t i = 0; i < train.size(); ++i) {
    TextStats all;
    const std::int64_t number = numbers.emplace(place_of(plans[i]), static_cast<std::int64_t>(i)).first->second;
    available.push_back(std::min(plans[i].words, survey(plans[i], number, chosen, all)));
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
