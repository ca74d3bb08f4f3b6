// The folder of a checkpoint: what is taken can be loaded and saved again, and is then found where it was.
// An input is state.json, DONE, optim.safetensors and config.json, each after a line "%%" but the first; what is left
// out or empty stays that of a valid checkpoint, and an empty DONE says of all files what they are.
#include "apps/train/checkpoint.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <vector>

#include "data/shards/fingerprint.h"
#include "tests/fuzz/checkpoint_sample.h"

using namespace blalm;

namespace {

constexpr const char* kFiles[] = {"state.json",        "DONE",          "optim.safetensors", "config.json",
                                  "model.safetensors", "tokenizer.json"};
constexpr std::size_t kDone = 1, kGiven = 4;  // of kFiles: which is DONE, how many an input gives

std::string sealed(const std::vector<std::string>& contents) {
  std::vector<std::string> entries;
  for (std::size_t i = 0; i < contents.size(); ++i)
    if (i != kDone)
      entries.push_back(fmt::format(R"("{}": {{"bytes": {}, "xxh3": "{}"}})", kFiles[i], contents[i].size(),
                                    fingerprint_of(contents[i]).str()));
  return fmt::format(R"({{"files": {{{}}}}})", fmt::join(entries, ", "));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::CheckpointSample sample(fuzz::folder().path());
  static const std::vector<std::string> valid = [] {
    std::vector<std::string> contents;
    for (const char* name : kFiles) contents.push_back(test::read_plainly(fuzz::folder() / "last" / name));
    return contents;
  }();
  std::vector<std::string> contents = valid;
  contents[kDone].clear();
  const std::string_view input = fuzz::text(data, size);
  std::string_view rest = input;
  for (std::size_t i = 0; i < kGiven; ++i) {
    const std::size_t end = rest.find("\n%%\n");
    if (end != 0 && !rest.empty()) contents[i] = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 4);
  }
  if (contents[kDone].empty()) contents[kDone] = sealed(contents);
  for (const char* name : {"last", "last.previous"}) std::filesystem::remove_all(fuzz::folder() / name);
  std::filesystem::create_directories(fuzz::folder() / "last");
  for (std::size_t i = 0; i < contents.size(); ++i) fuzz::file_of(contents[i], std::string("last/") + kFiles[i]);

  fuzz::taken(input, [&] {
    const auto found = find_checkpoint(fuzz::folder().path());
    fuzz::require(found.has_value(), "a checkpoint that is there is found or refused");
    const RunPosition& p = found->position;
    fuzz::require(std::min({p.step, p.loader.epoch, p.loader.block, p.words, p.tokens}) >= 0,
                  "counts are not negative");
    load_checkpoint(*found, sample.model, sample.optimizer);
    save_checkpoint(fuzz::folder().path(), sample.model, sample.optimizer, p, {{"tokenizer.json", "{}"}}, true);
    const auto again = find_checkpoint(fuzz::folder().path());
    fuzz::require(again && again->position.step == p.step && again->position.loader == p.loader &&
                      again->position.words == p.words,
                  "a checkpoint is found as it was saved");
  });
  return 0;
}
