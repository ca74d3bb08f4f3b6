// A folder of prepared data as it is read, and the settings that shape one.
#include "data/shards/prepared.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>

#include "data/config.h"
#include "data/shards/token_data.h"
#include "engine/core/error.h"
#include "tests/data/support.h"

using namespace blalm;
using namespace blalm::test;

TEST_CASE("tokens of another tokenizer are refused") {
  TempFolder folder;
  write_plainly(folder / "a.txt", "some words\n");
  prepare(whole_file(folder / "a.txt"), byte_encoder(), folder / "out");
  const TokenizerId right = byte_encoder().id;
  CHECK(TokenData::open(folder / "out", Part::train, right).tokens() == 11);
  for (const TokenizerId& wrong :
       {TokenizerId{right.vocab_size, fingerprint_of("other")}, TokenizerId{300, right.fingerprint}}) {
    const std::string message = message_of<DataError>([&] { TokenData::open(folder / "out", Part::train, wrong); });
    CHECK(has(message, wrong.fingerprint.str().substr(0, 12)));
    CHECK(has(message, right.fingerprint.str().substr(0, 12)));
    CHECK(has(message, (folder / "out").string()));
  }
  CHECK(has(message_of<DataError>([&] { TokenData::open(folder / "out", Part::valid); }), "valid text"));

  // A shard that was put there from elsewhere.
  write_plainly(folder / "b.txt", "other words\n");
  prepare(whole_file(folder / "b.txt"), byte_encoder(), folder / "elsewhere");
  std::filesystem::copy_file(folder / "elsewhere" / "train-00000.bin", folder / "out" / "train-00000.bin",
                             std::filesystem::copy_options::overwrite_existing);
  CHECK(has(message_of<DataError>([&] { TokenData::open(folder / "out", Part::train); }),
            "the shard that data.json lists"));
}

TEST_CASE("data.json survives, and damage to it is named") {
  TempFolder folder;
  PreparedData data;
  data.tokenizer = {12345, fingerprint_of("x")};
  data.separator = Separator::bos_eos;
  data.train = {{{"train-00000.bin", 1, 2, 3, 4, ~std::uint64_t{0}}, {"train-00001.bin", 5, 6, 7, 8, 9}}, 10};
  data.sources = {{"a \"b\" é\xFF.txt", {1, 2, 3, 4}, {5, 6, 7, 8}, true}};
  write_prepared(folder.path(), data);
  const PreparedData read = read_prepared(folder.path());
  CHECK(read.tokenizer == data.tokenizer);
  CHECK(read.separator == data.separator);
  CHECK(read.train.blank_lines == 10);
  CHECK(read.train.tokens() == 6);
  CHECK(read.train.shards[0].checksum == ~std::uint64_t{0});
  CHECK(read.valid.shards.empty());
  CHECK(read.sources[0].valid.words == 6);
  CHECK(read.sources[0].capped);

  const std::string whole = read_plainly(folder / "data.json");
  const auto error_with = [&](std::string_view from, std::string_view to) {
    std::string changed = whole;
    const std::size_t at = changed.find(from);
    REQUIRE(at != changed.npos);
    write_anew(folder / "data.json", changed.replace(at, from.size(), to));
    return message_of<FormatError>([&] { read_prepared(folder.path()); });
  };
  const struct {
    std::string_view from, to, named;
  } cases[] = {
      {"blalm-data", "other", "data.json: format]"},
      {"\"version\": 1", "\"version\": 2", "version]"},
      {"12345", "0", "tokenizer.vocab_size]"},
      {"12345", "99999999999", "tokenizer.vocab_size]"},
      {"\"fingerprint\": \"", "\"fingerprint\": \"0", "tokenizer.fingerprint]"},
      {"bos-eos", "sos", "separator]"},
      {"train-00001.bin", "../train-00001.bin", "train.shards[1].file]"},
      {"train-00000.bin", "", "train.shards[0].file]"},
      {"train-00000.bin", ".", "train.shards[0].file]"},
      {"ffffffffffffffff", "fffffffffffffffg", "train.shards[0].checksum]"},
      {"\"blank_lines\": 10", "\"blank_lines\": -1", "train.blank_lines]"},
      {"\"capped\": true", "\"capped\": 1", "sources[0].capped]"},
      {"\"sources\"", "\"source\"", "sources]"},
      {"{", "[", "data.json]"},
  };
  for (const auto& c : cases) {
    CAPTURE(c.from);
    CHECK(has(error_with(c.from, c.to), c.named));
  }
  for (std::size_t size = 0; size + 2 < whole.size(); size += 7) {
    write_anew(folder / "data.json", whole.substr(0, size));
    REQUIRE(has(message_of<FormatError>([&] { read_prepared(folder.path()); }), "data.json"));
  }
}

TEST_CASE("prepared data among files of text, or as validation text, is called what it is") {
  TempFolder folder;
  write_plainly(folder / "a.txt", "some words\n");
  prepare(whole_file(folder / "a.txt"), byte_encoder(), folder / "out");
  const std::string text = (folder / "a.txt").string(), data = (folder / "out").string();
  DataConfig among, valid;
  among.train = {text, data};
  valid.train = {text};
  valid.valid = {data};
  for (const DataConfig& config : {among, valid})
    CHECK(message_of<ConfigError>([&] { config.plan(); }) ==
          fmt::format("[data] expected files of text, got prepared data, '{}' (it goes alone into data.train)", data));
}

TEST_CASE("settings of the data") {
  DataConfig config;
  const Fields fields = config.fields();
  fields.at("data.train").set_items({"a.txt:1M", "b.jsonl.zst"});
  fields.set("data.words", "100k");
  fields.set("data.separator", "bos-eos");
  fields.set("data.valid_share", "0.1");
  fields.set("data.strip_lines", "true");
  CHECK(config.train == std::vector<std::string>{"a.txt:1M", "b.jsonl.zst"});
  CHECK(config.separator == Separator::bos_eos);
  CHECK(config.corpus_options().words == 100'000);
  CHECK(config.corpus_options().valid_share == 0.1);
  CHECK(config.corpus_options().text.strip_lines);
  CHECK(DataConfig().corpus_options().words == kAllWords);
  CHECK_FALSE(DataConfig().corpus_options().text.strip_lines);
  for (const auto& [key, bad] : std::map<std::string, std::string>{{"data.separator", "eos-bos"},
                                                                   {"data.seq", "1"},
                                                                   {"data.vocab_size", "258"},
                                                                   {"data.valid_share", "0.6"},
                                                                   {"data.words", "-1"}})
    CHECK(has(message_of<ConfigError>([&, path = key, value = bad] { fields.set(path, value); }), key));
  for (const Field& field : fields.list()) {
    CHECK_FALSE(field.help.empty());
    CHECK_NOTHROW(field.set(field.get()));
  }
}

TEST_CASE("data.json is checked against itself and against its shards, and no shard is there twice") {
  TempFolder folder;
  Rng rng(3);
  write_plainly(folder / "a.txt", random_text(rng, 400));
  write_plainly(folder / "v.txt", random_text(rng, 200));
  PrepareOptions small;
  small.shard_tokens = 3000;
  prepare(plan_corpus({{folder / "a.txt", kAllWords}}, {{folder / "v.txt", kAllWords}}, {}), byte_encoder(),
          folder / "out", small);
  const std::filesystem::path out = folder / "out";
  const nlohmann::json whole = nlohmann::json::parse(read_plainly(out / "data.json"));
  REQUIRE(whole["train"]["shards"].size() > 2);
  const auto error_of = [&](const nlohmann::json& changed) {
    write_anew(out / "data.json", changed.dump());
    return message_of<FormatError>([&] {
      TokenData::open(out, Part::train);
      TokenData::open(out, Part::valid);
    });
  };
  CHECK(error_of(whole) == "nothing was thrown");
  for (const char* part : {"train", "valid"}) {
    for (const char* count : {"tokens", "lines", "words", "bytes"}) {
      CAPTURE(count);
      nlohmann::json other_total = whole, other_shard = whole;
      const std::int64_t total = whole[part][count].get<std::int64_t>();
      other_total[part][count] = total + 1;
      CHECK(has(error_of(other_total), fmt::format("data.json: {}.{}] expected {}, the sum of its shards, got {}", part,
                                                   count, total, total + 1)));
      // A sum that is right, of counts that are not.
      other_total[part]["shards"][0][count] = whole[part]["shards"][0][count].get<std::int64_t>() + 1;
      CHECK(has(error_of(other_total), fmt::format(" {} in {}-00000.bin, as the shard has, got ", count, part)));
    }
  }
  nlohmann::json large = whole;
  for (nlohmann::json& shard : large["train"]["shards"]) shard["words"] = std::int64_t{1} << 53;
  CHECK(has(error_of(large), "train.shards] expected at most"));

  const auto add = [&](const char* to, const char* from, const char* file) {
    nlohmann::json changed = whole;
    nlohmann::json& part = changed[to];
    nlohmann::json shard = whole[from]["shards"][0];
    if (file != nullptr) shard["file"] = file;
    for (const char* count : {"tokens", "lines", "words", "bytes"})
      part[count] = part[count].get<std::int64_t>() + shard[count].get<std::int64_t>();
    part["shards"].push_back(shard);
    return error_of(changed);
  };
  CHECK(has(add("train", "train", nullptr), "] expected a shard that is listed once, got "));
  CHECK(has(add("valid", "train", nullptr), "] expected a shard that is listed once, got "));
  std::filesystem::copy_file(out / "train-00000.bin", out / "valid-00009.bin");
  CHECK(has(add("valid", "train", "valid-00009.bin"), "checksum] expected that of text that is not trained on, got "));
}
