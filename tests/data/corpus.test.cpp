#include "data/text/corpus.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <numeric>
#include <set>

#include "data/text/same_text.h"
#include "data/text/words.h"
#include "engine/core/error.h"
#include "tests/data/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

using Texts = std::vector<std::string>;

struct Taken {
  Texts train, valid;
  std::vector<SourceReport> reports;
  TextStats train_stats, valid_stats;
};

Taken take(const std::vector<SourcePlan>& plan) {
  Taken taken;
  CorpusReader reader(plan);
  CorpusLine line;
  while (reader.next(line)) (line.part == Part::train ? taken.train : taken.valid).emplace_back(line.line.text);
  taken.reports = reader.reports();
  taken.train_stats = reader.total(Part::train);
  taken.valid_stats = reader.total(Part::valid);
  return taken;
}

std::int64_t words_of(const Texts& texts) {
  std::int64_t words = 0;
  for (const std::string& text : texts) words += count_words(text);
  return words;
}

std::string joined(const Texts& texts) {
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  return all;
}

// Files of numbered lines, "FILE LINE": what was taken of which file can be told.
struct NumberedFiles {
  TempFolder folder;
  std::vector<SourceSpec> specs;

  explicit NumberedFiles(const std::vector<int>& lines) {
    for (std::size_t f = 0; f < lines.size(); ++f) {
      std::string text;
      for (int i = 0; i < lines[f]; ++i) text += fmt::format("{} {}{}\n", f, i, i % 3 == 0 ? " more words here" : "");
      specs.push_back({folder / fmt::format("{}.txt", f), kAllWords});
      write_plainly(specs.back().path, text);
    }
  }
  Texts all_lines() const {
    Texts lines;
    for (const SourceSpec& spec : specs) {
      const Texts more = read_lines(spec.path).lines;
      lines.insert(lines.end(), more.begin(), more.end());
    }
    return lines;
  }
};

}  // namespace

TEST_CASE("sources are files with or without a cap") {
  CHECK(parse_source("a/b.txt").path == "a/b.txt");
  CHECK(parse_source("a/b.txt").words == kAllWords);
  CHECK(parse_source("a/b.txt:1M").path == "a/b.txt");
  CHECK(parse_source("a/b.txt:1M").words == 1'000'000);
  CHECK(parse_source("a:b.txt:250").words == 250);
  CHECK(parse_source("a:b.txt:250").path == "a:b.txt");
  for (const char* bad : {"a.txt:", "a.txt:0", "a.txt:-5", "a.txt:many", "a.txt:1.5", "a.txt:1G"}) {
    CAPTURE(bad);
    CHECK(has(message_of<ConfigError>([&] { parse_source(bad); }), "words of 'a.txt'"));
  }
  TempFolder folder;
  write_plainly(folder / "x:5", "text");
  CHECK(parse_source((folder / "x:5").string()).words == kAllWords);
}

TEST_CASE("a comma belongs to the name of a file that is there, and separates names only where none is") {
  TempFolder folder;
  for (const char* name : {"Tales", " Vol. 1.txt", "a.txt", "b.txt"}) write_plainly(folder / name, "x");
  const std::string here = (folder.path() / "").string();
  const std::string tales = here + "Tales, Vol. 1.txt", both = here + "a.txt," + here + "b.txt";
  const Texts parts = {here + "a.txt", here + "b.txt"};
  CHECK(files_named(both) == parts);
  CHECK(files_named(here + "a.txt, " + here + "b.txt") == parts);
  CHECK(files_named(here + "a.txt:1k," + here + "b.txt") == Texts{here + "a.txt:1k", here + "b.txt"});
  CHECK(files_named(here + "a.txt," + here + "typo.txt") == Texts{here + "a.txt", here + "typo.txt"});
  CHECK(files_named(here + "typo, one.txt") == Texts{here + "typo, one.txt"});  // what the error will name
  CHECK(files_named(here + "a.txt") == Texts{here + "a.txt"});
  CHECK(files_named(here + "typo.txt") == Texts{here + "typo.txt"});
  write_plainly(tales, "x");
  CHECK(files_named(tales) == Texts{tales});
  CHECK(files_named(tales + ":10") == Texts{tales + ":10"});
  CHECK(files_named(tales + ":10, " + here + "a.txt") == Texts{here + "Tales", "Vol. 1.txt:10", here + "a.txt"});
  std::filesystem::create_directory(folder / "c, d");
  CHECK(files_named(here + "c, d") == Texts{here + "c, d"});
}

TEST_CASE("a folder stands for its text files") {
  TempFolder folder;
  for (const char* name : {"b.txt", "a.train.xz", "c.jsonl.gz", "d.dev", "README.md", "model.bin", "e.json", "f.xz",
                           ".hidden.txt", "._b.txt"})
    write_plainly(folder / name, "x");
  std::filesystem::create_directory(folder / "inner.txt");
  std::filesystem::create_symlink("nowhere", folder / "z.txt");
  Texts names, others;
  std::vector<std::filesystem::path> left_out;
  for (const SourceSpec& spec : parse_sources({folder.path().string()}, &left_out))
    names.push_back(spec.path.filename());
  CHECK(names == Texts{"a.train.xz", "b.txt", "c.jsonl.gz", "d.dev"});
  for (const std::filesystem::path& path : left_out) others.push_back(path.lexically_relative(folder.path()));
  CHECK(others == Texts{"._b.txt", ".hidden.txt", "README.md", "e.json", "f.xz", "inner.txt/", "model.bin", "z.txt"});
  CHECK(some_of({"a", "b/"}, 2) == "'a', 'b/'");
  CHECK(some_of({"a", "b/", "c", "d"}, 2) == "'a', 'b/' and 2 more");
  CHECK(has(message_of<DataError>([&] { parse_sources({(folder / "inner.txt").string()}); }), "got an empty one"));
  write_plainly(folder / "inner.txt" / "a.pdf", "x");
  CHECK(has(message_of<DataError>([&] { parse_sources({(folder / "inner.txt").string()}); }), "inner.txt/a.pdf'"));
  CHECK(has(message_of<ConfigError>([&] { parse_sources({folder.path().string() + ":5"}); }), "one for the folder"));
}

TEST_CASE("a capped file gives exactly so many words of its beginning") {
  TempFolder folder;
  Rng rng(3);
  for (int trial = 0; trial < 20; ++trial) {
    const std::string text = random_text(rng, 30);
    write_plainly(folder / "a.txt", text);
    const std::int64_t all = count_words(text);
    for (std::int64_t cap = 1; cap <= all + 2; cap += 1 + static_cast<std::int64_t>(rng.below(20))) {
      const Taken taken = take(plan_corpus({{folder / "a.txt", cap}}, {}, {}));
      const std::string kept = joined(taken.train);
      REQUIRE(words_of(taken.train) == std::min(cap, all));
      REQUIRE(taken.train_stats.words == std::min(cap, all));
      REQUIRE(taken.train_stats.bytes == static_cast<std::int64_t>(kept.size()));
      REQUIRE(text.starts_with(std::string_view(kept).substr(0, kept.size() - 1)));
      if (cap > all) REQUIRE(kept == text);
      REQUIRE((taken.reports[0].capped || cap >= all));
    }
  }
}

TEST_CASE("shares are in proportion and add up") {
  const std::vector<std::int64_t> three{10, 20, 30};
  CHECK(share_out(100, three) == three);
  CHECK(share_out(60, three) == three);
  CHECK(share_out(30, three) == std::vector<std::int64_t>{5, 10, 15});
  CHECK(share_out(1, three) == std::vector<std::int64_t>{0, 0, 1});
  CHECK(share_out(0, three) == std::vector<std::int64_t>{0, 0, 0});
  Rng rng(4);
  for (int trial = 0; trial < 500; ++trial) {
    std::vector<std::int64_t> available(1 + rng.below(6));
    for (std::int64_t& a : available)
      a = static_cast<std::int64_t>(rng.below(2) * rng.below(std::uint64_t{1} << (1 + rng.below(40))));
    const std::int64_t sum = std::accumulate(available.begin(), available.end(), std::int64_t{0});
    const auto total = static_cast<std::int64_t>(rng.below(static_cast<std::uint64_t>(sum) * 2 + 2));
    const std::vector<std::int64_t> shares = share_out(total, available);
    REQUIRE(std::accumulate(shares.begin(), shares.end(), std::int64_t{0}) == std::min(total, sum));
    for (std::size_t i = 0; i < shares.size(); ++i) {
      REQUIRE(shares[i] >= 0);
      REQUIRE(shares[i] <= available[i]);
      const double fair = static_cast<double>(available[i]) *
                          std::min(1.0, static_cast<double>(total) / std::max(1.0, static_cast<double>(sum)));
      REQUIRE(std::abs(static_cast<double>(shares[i]) - fair) <= 1.001);
    }
  }
}

TEST_CASE("a cap on the whole corpus keeps the mix and is exact, with held-out lines on top") {
  NumberedFiles files({3000, 500, 40, 1});
  files.specs[0].words = 5000;
  for (const double share : {0.0, 0.1}) {
    CorpusOptions options;
    options.valid_share = share;
    const Taken all = take(plan_corpus(files.specs, {}, options));
    for (const std::int64_t words : {1, 10, 100, 3333}) {
      options.words = words;
      const Taken some = take(plan_corpus(files.specs, {}, options));
      CHECK(some.train_stats.words == words);
      CHECK(words_of(some.train) == words);
      if (words < 1000) continue;
      for (std::size_t f = 0; f < 3; ++f) {
        const double part = static_cast<double>(some.reports[f].train.words) / static_cast<double>(words);
        CHECK(part == doctest::Approx(static_cast<double>(all.reports[f].train.words) /
                                      static_cast<double>(all.train_stats.words))
                          .epsilon(0.01));
      }
      // What is held out does not move with the cap.
      const std::set<std::string> held(all.valid.begin(), all.valid.end());
      for (const std::string& line : some.valid) CHECK(held.contains(line));
      CHECK(some.valid.empty() == (share == 0));
    }
  }
}

TEST_CASE("held-out and training lines are disjoint and complete") {
  NumberedFiles files({1, 2, 10, 333, 5000});
  const Texts all = files.all_lines();
  for (const double share : {0.01, 0.05, 0.5}) {
    for (const std::uint64_t seed : std::initializer_list<std::uint64_t>{0, 1, 2}) {
      CAPTURE(share);
      CAPTURE(seed);
      CorpusOptions options;
      options.valid_share = share;
      options.seed = seed;
      const std::vector<SourcePlan> plan = plan_corpus(files.specs, {}, options);
      const Taken taken = take(plan);
      std::map<std::string, int> seen;
      for (const std::string& line : taken.train) ++seen[line];
      for (const std::string& line : taken.valid) ++seen[line];
      CHECK(seen.size() == all.size());
      CHECK(taken.train.size() + taken.valid.size() == all.size());
      const double held = static_cast<double>(taken.valid.size()) / static_cast<double>(all.size());
      CHECK(held == doctest::Approx(share).epsilon(0.15));
      CHECK(plan[4].held_out.block_lines == (share < 0.04 ? 12 : 62 + 2 * (share > 0.05)));
      CHECK(take(plan_corpus(files.specs, {}, options)).valid == taken.valid);
      options.seed = seed + 1;
      CHECK(take(plan_corpus(files.specs, {}, options)).valid != taken.valid);
    }
  }
}

TEST_CASE("held-out lines are blocks of neighbours, spread over the file") {
  for (const std::int64_t lines : {2, 3, 19, 100, 1280, 100'000}) {
    for (const double share : {0.001, 0.05, 0.3, 0.9}) {
      const HeldOut held = hold_out(lines, share, 7, 0);
      CAPTURE(lines);
      CAPTURE(share);
      const std::int64_t blocks = (lines + held.block_lines - 1) / held.block_lines;
      const auto count = static_cast<std::int64_t>(held.blocks.size());
      CHECK(std::abs(static_cast<double>(count) - share * static_cast<double>(blocks)) <= 1);
      CHECK(count < blocks);
      for (std::int64_t i = 0; i < count; ++i) {
        CHECK(held.blocks[static_cast<std::size_t>(i)] >= blocks * i / count);
        CHECK(held.blocks[static_cast<std::size_t>(i)] < blocks * (i + 1) / count);
      }
      std::int64_t inside = 0;
      for (std::int64_t line = 0; line < lines; ++line) inside += held.contains(line) ? 1 : 0;
      CHECK(inside <= count * held.block_lines);
      CHECK(inside > (count - 1) * held.block_lines);
    }
  }
  CHECK(hold_out(100'000, 0.05, 7, 0).block_lines == kSplitBlockLines);
  CHECK(hold_out(100'000, 0.05, 7, 0).blocks != hold_out(100'000, 0.05, 7, 1).blocks);
  CHECK(hold_out(1, 0.5, 7, 0).blocks.empty());
  CHECK(hold_out(100, 0, 7, 0).blocks.empty());
}

TEST_CASE("a file that is named twice holds out the same lines both times: none of them is trained on") {
  NumberedFiles files({400, 300});
  SourceSpec capped = files.specs[1];
  capped.words = 100;
  files.specs.insert(files.specs.end(), {{files.folder / "." / "0.txt", kAllWords}, capped});
  CorpusOptions options;
  options.valid_share = 0.1;
  const Taken taken = take(plan_corpus(files.specs, {}, options));
  const std::set<std::string> held(taken.valid.begin(), taken.valid.end());
  CHECK(held.size() > 50);
  for (const std::string& line : taken.train) REQUIRE_FALSE(held.contains(line));
}

TEST_CASE("copies of a file, linked, renamed or compressed, are the same text as the file") {
  NumberedFiles files({400, 300});
  const std::filesystem::path &first = files.specs[0].path, folder = files.folder.path();
  std::filesystem::copy_file(first, folder / "copy.txt");
  std::filesystem::create_hard_link(first, folder / "hard.txt");
  std::filesystem::create_symlink(first, folder / "soft.txt");
  write_plainly(folder / "lines.txt", golden_lines());
  const std::vector<std::filesystem::path> golden = {golden_text("lines.txt.xz"), golden_text("lines.txt.gz"),
                                                     golden_text("lines.txt.zst")};
  std::vector<std::pair<std::filesystem::path, std::filesystem::path>> pairs;
  for (const char* name : {"copy.txt", "hard.txt", "soft.txt"}) pairs.emplace_back(first, folder / name);
  for (const std::filesystem::path& compressed : golden) pairs.emplace_back(folder / "lines.txt", compressed);
  pairs.emplace_back(golden[0], golden[1]);
  for (const auto& pair : pairs) {
    const auto& [one, other] = pair;
    CAPTURE(pair.second);
    // No text is trained on and held out.
    CHECK(message_of<DataError>([&, a = one, b = other] {
            plan_corpus({files.specs[1], {a, kAllWords}}, {{b, kAllWords}}, {});
          }) ==
          fmt::format("[data] expected validation files that are not trained on, got '{}' in data.valid, the text of "
                      "'{}' in data.train",
                      other.string(), one.string()));
    CHECK(has(message_of<DataError>([&, a = one, b = other] { plan_corpus({{a, 5}}, {{b, 5}}, {}); }), "data.valid"));
    // One that comes twice for training holds out the same lines both times.
    CorpusOptions options;
    options.valid_share = 0.1;
    const std::vector<SourcePlan> plan =
        plan_corpus({{one, kAllWords}, files.specs[1], {other, kAllWords}}, {}, options);
    CHECK(plan[2].same_as == one);
    CHECK(plan[0].same_as.empty());
    CHECK(plan[1].same_as.empty());
    CHECK(plan[2].held_out.blocks == plan[0].held_out.blocks);
  }
  // Like in their beginnings, or empty, files are different.
  std::string text(300'000, 'x');
  write_plainly(folder / "x.txt", text);
  text.back() = 'y';
  write_plainly(folder / "y.txt", text);
  write_plainly(folder / "empty1.txt", "");
  write_plainly(folder / "empty2.txt", "");
  const std::vector<std::filesystem::path> unlike = {folder / "x.txt", folder / "y.txt", folder / "empty1.txt",
                                                     folder / "empty2.txt"};
  CHECK(first_of_same_text(unlike, {}) == std::vector<std::size_t>{0, 1, 2, 3});
}

TEST_CASE("validation files leave the training files whole") {
  NumberedFiles files({100, 50});
  CorpusOptions options;
  options.valid_share = 0.2;
  options.words = 60;
  const Taken taken = take(plan_corpus({files.specs[0]}, {files.specs[1]}, options));
  CHECK(taken.train_stats.words == 60);
  CHECK(taken.valid == read_lines(files.specs[1].path).lines);
  CHECK(taken.reports[0].valid.lines == 0);
  CHECK(taken.reports[1].train.lines == 0);
  CHECK(take(plan_corpus({files.specs[0]}, {{files.specs[1].path, 7}}, options)).valid_stats.words == 7);
}

TEST_CASE("plans that cannot be are refused") {
  NumberedFiles files({3, 1});
  CorpusOptions options;
  CHECK(
      has(message_of<DataError>([&] { plan_corpus({}, files.specs, options); }), "data.train] expected at least one"));
  const std::filesystem::path detour = files.folder.path() / "." / "0.txt";
  CHECK(has(message_of<DataError>([&] { plan_corpus(files.specs, {{detour, kAllWords}}, options); }), "data.valid"));
  options.valid_share = 0.01;
  CHECK(has(message_of<DataError>([&] { plan_corpus(files.specs, {}, options); }), "data.valid_share"));
  CHECK(has(message_of<DataError>([&] {
              plan_corpus({{files.folder / "none.txt", kAllWords}}, {}, options);
            }),
            "none.txt"));
}
