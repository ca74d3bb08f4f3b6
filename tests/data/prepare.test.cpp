#include "data/shards/prepare.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>

#include "data/config.h"
#include "data/shards/loader.h"
#include "data/text/samples.h"
#include "data/text/words.h"
#include "data/tokenizer/bpe_trainer.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "tests/data/support.h"
#include "tests/support/threads.h"

using namespace blalm;
using namespace blalm::test;

namespace {

std::string stream_text(const std::filesystem::path& folder, Part part) {
  const TokenData data = TokenData::open(folder, part);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(data.tokens()));
  data.read(0, ids);
  return decode_bytes(ids);
}

std::map<std::string, std::string> files_of(const std::filesystem::path& folder) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files[entry.path().filename()] = read_plainly(entry.path());
  return files;
}

}  // namespace

TEST_CASE("separators go around each line") {
  TempFolder folder;
  write_plainly(folder / "a.txt", "one two\n\n  \nthree\r\nfour");
  write_plainly(folder / "a.jsonl", "{\"text\": \"one\\ntwo\"}\n{\"text\": \"\"}\n{\"text\": \"three\"}\n");
  const auto text = [&](const char* file, Separator separator) {
    PrepareOptions options;
    options.separator = separator;
    prepare(whole_file(folder / file), byte_encoder(), folder / "out", options);
    CHECK(read_prepared(folder / "out").separator == separator);
    return stream_text(folder / "out", Part::train);
  };
  CHECK(text("a.txt", Separator::bos) == "<s>one two<s>three<s>four");
  CHECK(text("a.txt", Separator::bos_eos) == "<s>one two</s><s>three</s><s>four</s>");
  CHECK(text("a.txt", Separator::eos) == "one two</s>three</s>four</s>");
  CHECK(text("a.txt", Separator::none) == "one two\n\n  \nthree\nfour\n");
  CHECK(text("a.jsonl", Separator::bos) == "<s>one\ntwo<s>three");
  CHECK(text("a.jsonl", Separator::none) == "one\ntwo\n\nthree\n");

  for (const Separator separator : {Separator::none, Separator::bos, Separator::bos_eos, Separator::eos}) {
    TextEncoder without = byte_encoder();
    without.bos = has_bos(separator) ? -1 : kBos;
    without.eos = has_bos(separator) ? kEos : 1000;
    PrepareOptions options;
    options.separator = separator;
    const std::string message =
        message_of<ConfigError>([&] { prepare(whole_file(folder / "a.txt"), without, folder / "out", options); });
    CHECK(has(message, separator == Separator::none ? "nothing was thrown" : "data.separator"));
  }
}

TEST_CASE("what is prepared has the words, bytes and lines of the text") {
  TempFolder folder;
  Rng rng(11);
  const std::string text = random_text(rng, 3000);
  write_plainly(folder / "a.txt", text);
  write_plainly(folder / "b.txt", "a validation line \xFF\n");
  const std::vector<SourcePlan> plan =
      plan_corpus({{folder / "a.txt", kAllWords}}, {{folder / "b.txt", kAllWords}}, {});
  PrepareOptions options;
  options.separator = Separator::none;
  std::int64_t told = 0;
  options.progress = [&](const PrepareProgress& p) { told = p.words; };
  const PrepareReport report = prepare(plan, byte_encoder(), folder / "out", options);
  const PreparedData& data = report.data;
  CHECK(stream_text(folder / "out", Part::train) == text);
  CHECK(data.train.words() == count_words(text));
  CHECK(data.train.bytes() == static_cast<std::int64_t>(text.size()));
  CHECK(data.train.lines() == 3000);
  CHECK(data.train.tokens() == static_cast<std::int64_t>(text.size()));
  CHECK(data.valid.words() == 4);
  CHECK(told == data.train.words() + 4);
  CHECK(report.bytes_per_token(data.train) == 1);
  CHECK(report.tokens_per_word(data.valid) == doctest::Approx(20.0 / 4));
  CHECK(report.seconds > 0);
  REQUIRE(data.sources.size() == 2);
  CHECK(data.sources[0].train.words == count_words(text));
  CHECK(data.sources[0].train.invalid_bytes == count_text(text).invalid_bytes);
  CHECK(data.sources[1].valid.invalid_bytes == 1);

  // With separators the blank lines are left out, and no word with them.
  const PreparedData with = prepare(plan, byte_encoder(), folder / "out").data;
  CHECK(with.train.words() == count_words(text));
  CHECK(with.train.lines() + with.train.blank_lines == 3000);
  CHECK(with.train.blank_lines > 100);
  CHECK(PrepareReport::tokens_per_word({}) == 0);
  CHECK(PrepareReport::bytes_per_token({}) == 0);
}

TEST_CASE("the files do not depend on the number of threads, and the stream not on the size of shards") {
  TempFolder folder;
  Rng rng(12);
  write_plainly(folder / "a.txt", random_text(rng, 20000));
  CorpusOptions corpus;
  corpus.valid_share = 0.1;
  const std::vector<SourcePlan> plan = plan_corpus({{folder / "a.txt", kAllWords}}, {}, corpus);
  PrepareOptions options;
  options.shard_tokens = 100'000;
  for (const int threads : {1, 2, 5}) {
    const Threads team(threads);
    prepare(plan, byte_encoder(), folder / fmt::format("out{}", threads), options);
    CHECK(files_of(folder / fmt::format("out{}", threads)) == files_of(folder / "out1"));
  }
  CHECK(files_of(folder / "out1").size() > 5);
  prepare(plan, byte_encoder(), folder / "single");
  CHECK(files_of(folder / "single").size() == 3);
  for (const Part part : {Part::train, Part::valid})
    CHECK(stream_text(folder / "single", part) == stream_text(folder / "out1", part));
  // Prepared again with larger shards, the folder keeps none of the old ones.
  prepare(plan, byte_encoder(), folder / "out1");
  CHECK(files_of(folder / "out1") == files_of(folder / "single"));
}

TEST_CASE("a preparation that fails leaves the one before it as it was") {
  TempFolder folder;
  write_plainly(folder / "a.txt", "some words\n");
  prepare(whole_file(folder / "a.txt"), byte_encoder(), folder / "out");
  const auto before = files_of(folder / "out");
  write_plainly(folder / "b.txt", "other words, and more of them\n");
  TextEncoder failing = byte_encoder();
  failing.encode = [](std::string_view) -> std::vector<std::int32_t> { throw DataError("stopped"); };
  CHECK(message_of<DataError>([&] { prepare(whole_file(folder / "b.txt"), failing, folder / "out"); }) == "stopped");
  PrepareOptions stopping;
  stopping.progress = [](const PrepareProgress&) { throw DataError("stopped"); };
  CHECK(message_of<DataError>(
            [&] { prepare(whole_file(folder / "b.txt"), byte_encoder(), folder / "out", stopping); }) == "stopped");
  CHECK(files_of(folder / "out") == before);
  CHECK(stream_text(folder / "out", Part::train) == "<s>some words");
  // What a killed program has left is gone after the next preparation.
  std::filesystem::create_directory(folder / "out" / ".preparing");
  write_plainly(folder / "out" / ".preparing" / "train-00007.bin", "x");
  PrepareOptions options;
  options.write_beside = [](const std::filesystem::path& into) {
    CHECK_FALSE(is_prepared(into));
    write_plainly(into / "tokenizer.json", "{}");
  };
  prepare(whole_file(folder / "b.txt"), byte_encoder(), folder / "out", options);
  CHECK(files_of(folder / "out").size() == 3);
  CHECK(stream_text(folder / "out", Part::train) == "<s>other words, and more of them");
}

TEST_CASE("a folder is prepared by one at a time: another is refused, and what the first one does is whole") {
  TempFolder folder;
  write_plainly(folder / "a.txt", "some words\n");
  write_plainly(folder / "b.txt", "other words, and more of them\n");
  prepare(whole_file(folder / "a.txt"), byte_encoder(), folder / "alone");
  std::vector<std::string> refused;
  const auto prepare_other = [&] {
    refused.push_back(
        message_of<DataError>([&] { prepare(whole_file(folder / "b.txt"), byte_encoder(), folder / "out"); }));
  };
  PrepareOptions options;
  options.progress = [&](const PrepareProgress&) { prepare_other(); };
  options.write_beside = [&](const std::filesystem::path&) { prepare_other(); };
  prepare(whole_file(folder / "a.txt"), byte_encoder(), folder / "out", options);
  CHECK(refused == std::vector<std::string>(2, fmt::format("[write] expected '{}' for this process alone, got another "
                                                           "process that writes there (wait for it, or name another "
                                                           "folder)",
                                                           (folder / "out").string())));
  CHECK(files_of(folder / "out") == files_of(folder / "alone"));
  prepare_other();  // now it may
  CHECK(stream_text(folder / "out", Part::train) == "<s>other words, and more of them");
}

TEST_CASE("data that was interrupted or has no words cannot be opened") {
  TempFolder folder;
  write_plainly(folder / "a.txt", "some words\n");
  TextEncoder failing = byte_encoder();
  failing.encode = [](std::string_view) -> std::vector<std::int32_t> { throw DataError("stopped"); };
  CHECK(message_of<DataError>([&] { prepare(whole_file(folder / "a.txt"), failing, folder / "out"); }) == "stopped");
  CHECK_FALSE(is_prepared(folder / "out"));
  CHECK(has(message_of<DataError>([&] { TokenData::open(folder / "out", Part::train); }), "got no data.json"));

  failing.encode = [](std::string_view) { return std::vector<std::int32_t>{5000}; };
  CHECK(
      has(message_of<DataError>([&] { prepare(whole_file(folder / "a.txt"), failing, folder / "out"); }), "got 5000"));
  write_plainly(folder / "blank2.txt", "\n");
  for (const char* content : {"", "\n\n", "  \n"}) {
    write_plainly(folder / "blank.txt", content);
    const std::string name = (folder / "blank.txt").string(),
                      why = fmt::format("got no words in '{}', which {}", name,
                                        *content == 0 ? "is empty" : "has only blank lines");
    CHECK(message_of<DataError>([&] { prepare(whole_file(folder / "blank.txt"), byte_encoder(), folder / "out"); }) ==
          "[data.train] expected text to train on, " + why);
    const auto plan = plan_corpus({{folder / "a.txt", kAllWords}}, {{folder / "blank.txt", kAllWords}}, {});
    CHECK(message_of<DataError>([&] { prepare(plan, byte_encoder(), folder / "out"); }) ==
          "[data.valid] expected validation text, " + why);
    CHECK_FALSE(is_prepared(folder / "out"));
    // Where files are read to hold out lines or to share out words, it is found there.
    if (*content == 0)
      CHECK(has(message_of<DataError>([&] {
                  prepare(plan_corpus({{folder / "blank.txt", kAllWords}, {folder / "blank2.txt", kAllWords}}, {}, {}),
                          byte_encoder(), folder / "out");
                }),
                fmt::format("got no words in '{}' (empty), '{}' (only blank lines)", name,
                            (folder / "blank2.txt").string())));
    CorpusOptions capped, sharing;
    capped.words = 5;
    sharing.valid_share = 0.1;
    for (const CorpusOptions& options : {capped, sharing})
      CHECK(message_of<DataError>([&] {
              plan_corpus({{folder / "blank.txt", kAllWords}}, {}, options);
            }) == "[data.train] expected text to train on, " + why);
  }
  // A file that turns out to be damaged after megabytes of good text.
  write_plainly(folder / "bad.txt", std::string(9'000'000, 'x') + "\n" + std::string(1, '\0'));
  CHECK(has(message_of<DataError>([&] { prepare(whole_file(folder / "bad.txt"), byte_encoder(), folder / "out"); }),
            "NUL byte at offset 9000001"));
  CHECK(has(message_of<DataError>([&] { prepare(whole_file(folder / "a.txt"), byte_encoder(), folder / "a.txt"); }),
            "a folder that can be written"));
}

TEST_CASE("training text is what the tokenizer will be given, without held-out lines") {
  TempFolder folder;
  std::string text;
  for (int i = 0; i < 300; ++i) text += fmt::format("line {}\n", i);
  write_plainly(folder / "a.txt", text);
  CorpusOptions corpus;
  corpus.valid_share = 0.1;
  corpus.words = 400;
  const std::vector<SourcePlan> plan = plan_corpus({{folder / "a.txt", kAllWords}}, {}, corpus);
  for (const Separator separator : {Separator::bos, Separator::none}) {
    std::vector<std::string> given, encoded;
    read_training_text(plan, {}, separator, [&](std::span<const std::string_view> texts) {
      for (const std::string_view t : texts) given.emplace_back(t);
    });
    TextEncoder recording = byte_encoder();
    std::mutex mutex;
    recording.encode = [&](std::string_view t) {
      const std::lock_guard lock(mutex);
      encoded.emplace_back(t);
      return std::vector<std::int32_t>(1, kFirstByte);
    };
    const Threads team(1);
    PrepareOptions options;
    options.separator = separator;
    const PreparedData data = prepare(plan, recording, folder / "out", options).data;
    CHECK(given.size() == 200);
    CHECK(data.train.words() == 400);
    CHECK(data.valid.lines() > 10);
    for (const std::string& line : given) CHECK(std::ranges::count(encoded, line) == 1);
    CHECK(encoded.size() == given.size() + static_cast<std::size_t>(data.valid.lines()));
  }
}

TEST_CASE("the text that comes with blalm is prepared with a tokenizer trained on it and loaded") {
  TempFolder folder;
  CHECK(std::filesystem::equivalent(samples_folder(), samples()));
  DataConfig config;
  config.train = sample_files(samples(), Part::train);
  config.valid = sample_files(samples(), Part::valid);
  const std::vector<SourcePlan> plan = config.plan();
  BpeTrainOptions train_options;
  train_options.vocab_size = 2000;
  BpeTrainer trainer(train_options);
  read_training_text(plan, {}, config.separator,
                     [&](std::span<const std::string_view> texts) { trainer.count(texts); });
  const Tokenizer tokenizer = trainer.train();
  const TextEncoder encoder = encoder_of(tokenizer, config.bos, config.eos);
  CHECK(encoder.bos == 1);
  CHECK(encoder.eos == 2);
  CHECK(encoder_of(tokenizer, "<none>", "").bos == -1);
  CHECK(encoder.encode("<s>").size() > 1);
  CHECK(id_of(Tokenizer::from_json(tokenizer.to_json())) == encoder.id);
  const PrepareReport report = prepare(plan, encoder, folder / "out");
  // The words that data/samples/README.md names.
  CHECK(report.data.train.words() == 85'850 + 171'998);
  CHECK(report.data.valid.words() == 5'575 + 8'810);
  CHECK(report.tokens_per_word(report.data.train) < 1.7);
  CHECK(report.bytes_per_token(report.data.train) > 3.2);

  const TokenData data = TokenData::open(folder / "out", Part::valid, encoder.id);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(data.tokens()));
  data.read(0, ids);
  std::string expected;
  CorpusReader reader(plan);
  for (CorpusLine line; reader.next(line);)
    if (line.part == Part::valid && line.line.words > 0) expected += line.line.text;
  CHECK(tokenizer.decode(ids) == expected);
  Loader loader(data, {.block = 128, .batch = 8});
  Batch batch;
  REQUIRE(loader.next(batch));
  CHECK(loader.words_seen() > 8 * 128 / 2);
  CHECK(loader.words_seen() < 8 * 128);
  CHECK(has(message_of<DataError>([&] { sample_files(folder.path(), Part::train); }), ".train.txt"));
}
