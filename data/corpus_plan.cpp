#include "blalm/data/corpus_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "blalm/core/error.h"
#include "blalm/data/varint.h"

namespace blalm {
namespace {

// Chooses the held-out lines of a file and returns how many words its other lines have.
std::int64_t survey(SourcePlan& plan, std::int64_t number, const CorpusOptions& options) {
  TextSource source(plan.path, options.text);
  std::vector<std::byte> words_by_line;  // the choice depends on the number of lines, known at the end
  TextLine line;
  while (source.next(line)) put_varint(static_cast<std::uint64_t>(line.words), words_by_line);
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
  std::set<std::filesystem::path> train;
  for (const SourcePlan& plan : plans)
    if (plan.part == Part::train) train.insert(std::filesystem::weakly_canonical(plan.path));
  for (const SourcePlan& plan : plans) {
    if (plan.part == Part::valid && train.contains(std::filesystem::weakly_canonical(plan.path))) {
      throw DataError(expected_got("data", "validation files that are not trained on",
                                   fmt::format("'{}' in data.train and data.valid", plan.path.string())));
    }
  }
}

}  // namespace

std::string_view name_of(Part part) { return part == Part::train ? "train" : "valid"; }

std::string files_of(const std::vector<SourcePlan>& plans, Part part) {
  std::vector<std::filesystem::path> paths;
  for (const SourcePlan& plan : plans)
    if (plan.part == part) paths.push_back(plan.path);
  if (paths.empty()) return "no file";
  const std::string first = fmt::format("'{}'", paths[0].string());
  if (paths.size() > 1)
    return fmt::format("{} and {} more file{}", first, paths.size() - 1, paths.size() > 2 ? "s" : "");
  std::error_code unknown;
  return std::filesystem::file_size(paths[0], unknown) == 0 && !unknown ? first + ", which is empty" : first;
}

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
  for (std::size_t i = 0; i < train.size(); ++i)
    available.push_back(std::min(plans[i].words, survey(plans[i], static_cast<std::int64_t>(i), chosen)));
  const bool none_held_out = std::ranges::all_of(plans, [](const SourcePlan& p) { return p.held_out.blocks.empty(); });
  if (none_held_out && std::ranges::all_of(available, [](std::int64_t words) { return words == 0; }))
    throw DataError(
        expected_got("data.train", "text to train on", fmt::format("no words in {}", files_of(plans, Part::train))));
  if (chosen.valid_share > 0 && none_held_out) {
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
