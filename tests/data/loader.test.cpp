#include "data/shards/loader.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "engine/core/error.h"
#include "tests/data/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

// Tokens 0, 1, 2, … (a token tells its place) in lines of random length, cut into shards.
struct Stream {
  TempFolder folder;
  std::vector<LineCounts> lines;

  TokenData make(std::int64_t tokens, std::int64_t shard_tokens = kShardTokens, std::uint64_t seed = 9) {
    Rng rng(seed);
    ShardWriter writer(folder.path(), "train", {1'000'000, fingerprint_of("t")}, shard_tokens);
    lines.clear();
    for (std::int64_t begin = 0; begin < tokens;) {
      const std::int64_t size = std::min<std::int64_t>(1 + static_cast<std::int64_t>(rng.below(40)), tokens - begin);
      std::vector<std::int32_t> ids;
      for (std::int64_t i = 0; i < size; ++i) ids.push_back(static_cast<std::int32_t>(begin + i));
      lines.push_back({size, static_cast<std::int64_t>(rng.below(50)), static_cast<std::int64_t>(rng.below(300))});
      writer.add(ids, lines.back().words, lines.back().bytes);
      begin += size;
    }
    std::vector<Shard> shards;
    for (const ShardInfo& info : writer.finish()) shards.emplace_back(folder / info.file);
    return TokenData(std::move(shards));
  }
};

struct Given {
  std::vector<std::int32_t> ids;
  LineCounts counts;
};

bool operator==(const Given& a, const Given& b) { return a.ids == b.ids && a.counts == b.counts; }

std::vector<Given> rest_of(Loader& loader) {
  std::vector<Given> given;
  for (Batch batch; loader.next(batch);) {
    const auto ids = batch.ids.values<std::int32_t>();
    given.push_back({{ids.begin(), ids.end()}, batch.counts});
  }
  return given;
}

std::vector<std::int32_t> all_ids(const std::vector<Given>& given) {
  std::vector<std::int32_t> ids;
  for (const Given& g : given) ids.insert(ids.end(), g.ids.begin(), g.ids.end());
  return ids;
}

}  // namespace

TEST_CASE("targets are the next ids within a block") {
  Stream stream;
  const TokenData data = stream.make(50);
  Loader loader(data, {.block = 8, .batch = 4, .shuffle = false});
  Batch batch;
  REQUIRE(loader.next(batch));
  CHECK(batch.ids.shape() == Shape{4, 8});
  CHECK(batch.targets.shape() == Shape{4, 8});
  for (std::int64_t i = 0; i < 32; ++i) {
    CHECK(batch.ids.values<std::int32_t>()[static_cast<std::size_t>(i)] == i);
    CHECK(batch.targets.values<std::int32_t>()[static_cast<std::size_t>(i)] == (i % 8 == 7 ? -1 : i + 1));
  }
  REQUIRE(loader.next(batch));
  CHECK(batch.ids.shape() == Shape{2, 8});  // 50 tokens are six blocks and a tail
  CHECK_FALSE(loader.next(batch));
  CHECK_FALSE(loader.next(batch));
}

TEST_CASE("every epoch gives every block once, in another order") {
  Stream stream;
  const TokenData data = stream.make(1003);
  Loader loader(data, {.block = 10, .batch = 1, .seed = 3, .epochs = 4});
  CHECK(loader.blocks_per_epoch() == 100);
  CHECK(loader.batches() == 400);
  std::set<std::vector<std::int32_t>> orders;
  for (int epoch = 0; epoch < 4; ++epoch) {
    std::vector<std::int32_t> starts, sorted;
    Batch batch;
    for (int i = 0; i < 100; ++i) {
      REQUIRE(loader.next(batch));
      const auto ids = batch.ids.values<std::int32_t>();
      for (std::size_t t = 1; t < 10; ++t) REQUIRE(ids[t] == ids[0] + static_cast<std::int32_t>(t));
      starts.push_back(ids[0]);
    }
    sorted = starts;
    std::ranges::sort(sorted);
    for (int i = 0; i < 100; ++i) REQUIRE(sorted[static_cast<std::size_t>(i)] == 10 * i);
    CHECK(starts != sorted);
    orders.insert(starts);
    CHECK(loader.position() == LoaderPosition{epoch + 1, 0});
  }
  CHECK(orders.size() == 4);
}

TEST_CASE("the order depends on the seed and not on batches or shards") {
  Stream a, b, c;
  const TokenData whole = a.make(600), pieces = b.make(600, 60), crumbs = c.make(600, 1);
  const auto ids = [](const TokenData& data, std::int64_t batch, std::uint64_t seed) {
    Loader loader(data, {.block = 16, .batch = batch, .seed = seed, .epochs = 2});
    return all_ids(rest_of(loader));
  };
  const std::vector<std::int32_t> expected = ids(whole, 1, 5);
  for (const TokenData* data : {&whole, &pieces, &crumbs})
    for (const std::int64_t batch : {1, 7, 64, 1000}) CHECK(ids(*data, batch, 5) == expected);
  CHECK(ids(whole, 1, 6) != expected);
  for (const std::int64_t stride : {1, 7, 16, 599}) {
    CHECK(pieces.counts_every(stride) == whole.counts_every(stride));
    CHECK(crumbs.counts_every(stride) == whole.counts_every(stride));
  }
}

TEST_CASE("a loader that resumes at any position gives the same batches") {
  Stream stream;
  const TokenData data = stream.make(530, 90);
  for (const std::int64_t batch : {1, 3, 8}) {
    const LoaderOptions options{.block = 12, .batch = batch, .seed = 1, .epochs = 3};
    Loader first(data, options);
    std::vector<LoaderPosition> positions{first.position()};
    std::vector<std::int64_t> words{0}, tokens{0};
    std::vector<Given> given;
    for (Batch b; first.next(b);) {
      const auto ids = b.ids.values<std::int32_t>();
      given.push_back({{ids.begin(), ids.end()}, b.counts});
      positions.push_back(first.position());
      words.push_back(first.words_seen());
      tokens.push_back(first.tokens_seen());
    }
    for (std::size_t i = 0; i < positions.size(); ++i) {
      Loader resumed(data, options);
      resumed.seek(positions[i]);
      REQUIRE(resumed.words_seen() == words[i]);
      REQUIRE(resumed.tokens_seen() == tokens[i]);
      REQUIRE(rest_of(resumed) == std::vector<Given>(given.begin() + static_cast<std::ptrdiff_t>(i), given.end()));
      REQUIRE(resumed.words_seen() == words.back());
    }
    // Back to the beginning, too.
    first.seek({});
    CHECK(rest_of(first) == given);
  }
}

TEST_CASE("positions that do not exist are refused") {
  Stream stream;
  const TokenData data = stream.make(100);
  Loader loader(data, {.block = 10, .batch = 2, .epochs = 2});
  loader.seek({1, 9});
  loader.seek({2, 0});
  Batch batch;
  CHECK_FALSE(loader.next(batch));
  for (const LoaderPosition bad : {LoaderPosition{0, 10}, {2, 1}, {3, 0}, {-1, 0}, {0, -1}})
    CHECK(has(message_of<DataError>([&] { loader.seek(bad); }), "a position in 2 epochs of 10 blocks"));
}

TEST_CASE("words seen are those of the lines, whatever the order") {
  Stream stream;
  const TokenData data = stream.make(3000, 200);
  std::int64_t words = 0, bytes = 0;
  for (const LineCounts& line : stream.lines) {
    words += line.words;
    bytes += line.bytes;
  }
  CHECK(data.total() == LineCounts{3000, words, bytes});
  const std::vector<LineCounts> every = data.counts_every(1);
  REQUIRE(every.size() == 3001);
  CHECK(every.back() == data.total());
  std::size_t at = 0;
  LineCounts before;
  for (const LineCounts& line : stream.lines) {
    REQUIRE(every[at] == before);  // exact at the end of every line
    at += static_cast<std::size_t>(line.tokens);
    before = {before.tokens + line.tokens, before.words + line.words, before.bytes + line.bytes};
  }
  for (const std::int64_t block : {2, 10, 512, 3000}) {
    Loader loader(data, {.block = block, .batch = 7, .seed = 2, .epochs = 3});
    std::int64_t seen = 0, tokens = 0;
    for (Batch batch; loader.next(batch);) {
      seen += batch.counts.words;
      tokens += batch.counts.tokens;
      REQUIRE(batch.counts.tokens == batch.ids.numel());
      REQUIRE(loader.words_seen() == seen);
    }
    CHECK(tokens == 3 * (3000 / block) * block);
    // An epoch has the words of all tokens up to the tail.
    CHECK(seen == 3 * every[static_cast<std::size_t>(3000 / block * block)].words);
    if (3000 % block == 0) CHECK(seen == 3 * words);
  }
}

TEST_CASE("loaders say when their data cannot be") {
  Stream stream;
  const TokenData data = stream.make(100);
  const auto error = [&](const LoaderOptions& options) {
    return message_of<ConfigError>([&] { Loader(data, options); });
  };
  CHECK(has(error({.block = 1}), "tokens a block"));
  CHECK(has(error({.block = 10, .batch = 0}), "blocks a batch"));
  CHECK(has(error({.block = 10, .epochs = 0}), "epochs"));
  CHECK(has(message_of<DataError>([&] { Loader(data, {.block = 101}); }), "got 100 tokens"));
  Loader whole(data, {.block = 100});
  CHECK(rest_of(whole).size() == 1);
}

TEST_CASE("identity tells loaders of other data or another order apart") {
  Stream a, b, c;
  const TokenData data = a.make(500), same = b.make(500), other = c.make(500, kShardTokens, 10);
  const auto id = [](const TokenData& d, const LoaderOptions& options) { return Loader(d, options).identity(); };
  const std::uint64_t expected = id(data, {.block = 10});
  CHECK(id(same, {.block = 10, .batch = 3, .epochs = 7}) == expected);
  CHECK(id(other, {.block = 10}) != expected);
  CHECK(id(data, {.block = 20}) != expected);
  CHECK(id(data, {.block = 10, .seed = 1}) != expected);
  CHECK(id(data, {.block = 10, .shuffle = false}) != expected);
}
