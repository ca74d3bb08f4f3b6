#include "data/config.h"

#include <utility>

namespace blalm {

Fields DataConfig::fields() {
  Fields f("data");
  f.add("train", train,
        "training text: files (.txt, .jsonl, also .xz, .gz, .zst; FILE:1M for its first million words), folders of "
        "them, or one folder of prepared data; given again for more of them; none: the text that comes with blalm")
      .takes("PATH")
      .of_files()
      .when_resumed(OnResume::of_data);
  f.add("valid", valid, "validation text, as for train; none: valid_share of the training text")
      .takes("PATH")
      .of_files()
      .when_resumed(OnResume::of_data);
  f.add("tokenizer", tokenizer, "tokenizer.json, or a folder that holds one; none: one is trained on the training text")
      .takes("PATH")
      .when_resumed(OnResume::of_data);
  f.add("vocab_size", vocab_size, "tokens of a tokenizer that is trained here").at_least(259).at_most(1 << 24);
  f.add("words", words, "words of training text in all, taken from the files in proportion; 0: all")
      .at_least(0)
      .at_most(1e15);
  f.add("seq", seq, "tokens a block: the context length in training").at_least(2).at_most(1 << 20);
  f.add("separator", separator, separator_names(), "what goes around each line or JSON text");
  f.add("bos", bos, "the token that begins a text, as the tokenizer spells it");
  f.add("eos", eos, "the token that ends a text");
  f.add("valid_share", valid_share, "share of the training lines held out when valid is empty")
      .at_least(0)
      .at_most(0.5);
  f.add("split_seed", split_seed, "draws the lines that are held out");
  f.add("json_field", json_field, "the field of JSON Lines files that holds the text");
  f.add("strip_lines", strip_lines, "leave out the white space at both ends of each line or JSON text");
  f.add("seed", seed, "draws the order of the blocks");
  f.add("shuffle", shuffle, "a new order of the blocks every epoch");
  return f;
}

CorpusOptions DataConfig::corpus_options() const {
  CorpusOptions options;
  options.words = words == 0 ? kAllWords : words;
  options.valid_share = valid_share;
  options.seed = split_seed;
  options.text.json_field = json_field;
  options.text.strip_lines = strip_lines;
  return options;
}

std::vector<SourcePlan> DataConfig::plan(std::vector<std::filesystem::path>* left_out, ReadPulse pulse) const {
  CorpusOptions options = corpus_options();
  options.text.pulse = std::move(pulse);
  const std::vector<SourceSpec> train_files = parse_sources(train, left_out);
  return plan_corpus(train_files, parse_sources(valid, left_out), options);
}

}  // namespace blalm
