// The parts of a tokenizer from the fields of its file. Every kind that is not read here is an error by its name:
// a tokenizer that is only nearly right gives other ids than the model was trained on.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "data/text/character_class.h"
#include "data/tokenizer/limits.h"
#include "data/tokenizer/tokenizer_parts.h"
#include "engine/core/error.h"
#include "engine/io/json_field.h"
#include "engine/io/json_text.h"

namespace blalm {
namespace {

constexpr std::int64_t kMaxCount = 1 << 20;  // of characters to strip

std::string escaped(std::string_view literal) {
  std::string pattern;
  for (const char c : literal) {
    const bool plain = static_cast<unsigned char>(c) >= 0x80 || std::isalnum(static_cast<unsigned char>(c));
    if (!plain) pattern.push_back('\\');
    pattern.push_back(c);
  }
  return pattern;
}

std::string read_searched_string(const JsonField& field) {
  std::string text = field.string();
  if (text.size() > kMaxLiteral) field.fail(fmt::format("a string of at most {} bytes", kMaxLiteral));
  return text;
}

// {"String": "…"} or {"Regex": "…"}
Regex read_pattern(const JsonField& pattern) {
  if (pattern["String"].is_null() && pattern["Regex"].is_null()) pattern.fail("String or Regex");
  if (!pattern["String"].is_null()) return {escaped(read_searched_string(pattern["String"])), pattern["String"].name()};
  return {pattern["Regex"].string(), pattern["Regex"].name()};
}

std::string read_literal(const JsonField& pattern) {
  if (pattern["String"].is_null()) pattern.fail("String");
  std::string literal = read_searched_string(pattern["String"]);
  if (literal.empty()) pattern["String"].fail("a string that is not empty");
  return literal;
}

template <class Each>
void visit_parts(const JsonField& field, std::string_view list, Each&& each) {
  if (field["type"].string() != "Sequence") return each(field);
  for (const JsonField& part : field[list].array()) visit_parts(part, list, each);
}

// Calls each(field) for the parts of a Sequence, in order, or for `field` itself when it is none.
template <class Each>
void for_each_part(const JsonField& field, std::string_view list, Each&& each) {
  std::size_t steps = 0;
  visit_parts(field, list, [&](const JsonField& part) {
    if (++steps > kMaxSteps) {
      throw FormatError(expected_got(field.name(), fmt::format("at most {} steps", kMaxSteps), "more"));
    }
    each(part);
  });
}

Normalizer read_normalizer(const JsonField& field) {
  Normalizer normalizer(field.name());
  if (field.is_null()) return normalizer;
  for_each_part(field, "normalizers", [&](const JsonField& part) {
    const std::string type = part["type"].string();
    if (type == "NFC") {
      normalizer.add_unicode_form(UnicodeForm::kNfc);
    } else if (type == "NFD") {
      normalizer.add_unicode_form(UnicodeForm::kNfd);
    } else if (type == "NFKC") {
      normalizer.add_unicode_form(UnicodeForm::kNfkc);
    } else if (type == "NFKD") {
      normalizer.add_unicode_form(UnicodeForm::kNfkd);
    } else if (type == "Lowercase") {
      normalizer.add_lowercase();
    } else if (type == "Strip") {
      normalizer.add_strip(part["strip_left"].boolean(), part["strip_right"].boolean());
    } else if (type == "Prepend") {
      normalizer.add_prepend(part["prepend"].string());
    } else if (type == "Replace" && !part["pattern"]["Regex"].is_null()) {
      normalizer.add_replace(read_pattern(part["pattern"]), part["content"].string());
    } else if (type == "Replace") {
      normalizer.add_replace(read_literal(part["pattern"]), part["content"].string());
    } else {
      part["type"].fail("NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace or Sequence");
    }
  });
  return normalizer;
}

SplitBehavior read_behavior(const JsonField& field) {
  const std::string name = field.string();
  if (name == "Removed") return SplitBehavior::kRemoved;
  if (name == "Isolated") return SplitBehavior::kIsolated;
  if (name == "MergedWithPrevious") return SplitBehavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return SplitBehavior::kMergedWithNext;
  if (name == "Contiguous") return SplitBehavior::kContiguous;
  field.fail("Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous");
}

PreTokenizer read_pretokenizer(const JsonField& field) {
  constexpr std::string_view kHint = "only byte-level BPE is supported";
  PreTokenizer pretokenizer;
  bool spelled = false;  // ByteLevel came: what follows sees the byte-level alphabet
  if (field.is_null()) field.fail("ByteLevel or a Sequence with it", kHint);
  for_each_part(field, "pretokenizers", [&](const JsonField& part) {
    const std::string type = part["type"].string();
    if (type == "ByteLevel") {
      if (spelled) part["type"].fail("ByteLevel only once");
      if (part["add_prefix_space"].boolean()) pretokenizer.add_prefix_space();
      if (part["use_regex"].boolean_or(true)) {
        pretokenizer.add_split({std::string(kGpt2Pattern), part.name()}, SplitBehavior::kIsolated, false, false);
      }
      spelled = true;
    } else if (type == "Split") {
      pretokenizer.add_split(read_pattern(part["pattern"]), read_behavior(part["behavior"]),
                             part["invert"].boolean_or(false), spelled);
    } else if (type == "Digits") {
      const bool single = part["individual_digits"].boolean();
      pretokenizer.add_split({R"(\p{N})", part.name()}, single ? SplitBehavior::kIsolated : SplitBehavior::kContiguous,
                             false, spelled);
    } else if (type == "Punctuation") {
      const JsonField behavior = part["behavior"];
      pretokenizer.add_split({R"([\p{P}$+<=>^`|~])", part.name()},
                             behavior.is_null() ? SplitBehavior::kIsolated : read_behavior(behavior), false, spelled);
    } else {
      part["type"].fail("ByteLevel, Split, Digits, Punctuation or Sequence", kHint);
    }
  });
  if (!spelled) field.fail("ByteLevel or a Sequence with it", kHint);
  return pretokenizer;
}

std::int32_t read_id(const JsonField& field, const Vocabulary& vocabulary) {
  const auto id = static_cast<std::int32_t>(field.integer(0, vocabulary.size() - 1));
  if (!vocabulary.contains(id)) field.fail("the id of a token");
  return id;
}

// The ids of a template's special tokens before and after the text, around those that are there already.
void read_template(const JsonField& part, const Vocabulary& vocabulary, PostProcessor& post) {
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> after;
  bool text_seen = false;
  for (const JsonField& piece : part["single"].array()) {
    if (!piece["Sequence"].is_null()) {
      if (text_seen || piece["Sequence"]["id"].string() != "A") piece["Sequence"].fail("the text A once");
      text_seen = true;
      continue;
    }
    const std::string name = piece["SpecialToken"]["id"].string();
    for (const JsonField& id : part["special_tokens"][name]["ids"].array()) {
      (text_seen ? after : before).push_back(read_id(id, vocabulary));
      if (post.before.size() + before.size() + after.size() + post.after.size() > kMaxAround) {
        part["single"].fail(fmt::format("at most {} special tokens in all", kMaxAround));
      }
    }
  }
  if (!text_seen) part["single"].fail("the text A once");
  post.before.insert(post.before.begin(), before.begin(), before.end());
  post.after.insert(post.after.end(), after.begin(), after.end());
}

PostProcessor read_post_processor(const JsonField& field, const Vocabulary& vocabulary) {
  PostProcessor post;
  if (field.is_null()) return post;
  for_each_part(field, "processors", [&](const JsonField& part) {
    const std::string type = part["type"].string();
    if (type == "TemplateProcessing") {
      read_template(part, vocabulary, post);
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
      post.before.insert(post.before.begin(), read_id(part["cls"][1], vocabulary));
      post.after.push_back(read_id(part["sep"][1], vocabulary));
      post.trim_offsets |= type == "RobertaProcessing" && part["trim_offsets"].boolean_or(true);
    } else if (type == "ByteLevel") {
      post.trim_offsets |= part["trim_offsets"].boolean_or(true);
    } else {
      part["type"].fail("ByteLevel, TemplateProcessing, RobertaProcessing, BertProcessing or Sequence");
    }
  });
  return post;
}

Decoder read_decoder(const JsonField& field) {
  Decoder decoder(field.name());
  if (field.is_null()) return decoder;
  bool bytes = false;
  for_each_part(field, "decoders", [&](const JsonField& part) {
    const std::string type = part["type"].string();
    if (type == "ByteLevel" && !bytes) {
      bytes = true;
    } else if (type == "Strip" && bytes) {
      const std::string content = part["content"].string();
      if (content.empty() || utf8::decode(content, 0).size != content.size()) part["content"].fail("one character");
      decoder.add_strip(content, static_cast<std::size_t>(part["start"].integer(0, kMaxCount)),
                        static_cast<std::size_t>(part["stop"].integer(0, kMaxCount)));
    } else if (type == "Replace" && bytes) {
      decoder.add_replace(read_literal(part["pattern"]), part["content"].string());
    } else if (type != "Fuse" || !bytes) {
      part["type"].fail(bytes ? "Strip, Replace or Fuse" : "ByteLevel first");
    }
  });
  if (!bytes) field.fail("ByteLevel or a Sequence that begins with it");
  return decoder;
}

BpeModel::Options read_options(const JsonField& model, const Vocabulary& vocabulary) {
  const auto must_be_off = [](const JsonField& field, bool off, std::string_view expected) {
    if (!field.is_null() && !off) field.fail(expected, "not supported otherwise");
  };
  const auto& dropout = model["dropout"].value();
  must_be_off(model["dropout"], dropout.is_number() && dropout.get<double>() == 0, "null or 0");
  for (const std::string_view affix : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    must_be_off(model[affix], model[affix].value() == "", "null");
  }
  must_be_off(model["byte_fallback"], model["byte_fallback"].value() == false, "false");

  BpeModel::Options options;
  const JsonField unknown = model["unk_token"];
  if (!unknown.is_null()) {
    options.unknown = vocabulary.find(unknown.string());
    if (!options.unknown) unknown.fail("a token of the vocabulary");
  }
  options.fuse_unknown = model["fuse_unk"].boolean_or(false);
  options.ignore_merges = model["ignore_merges"].boolean_or(false);
  return options;
}

}  // namespace

std::string default_frame(std::string_view pattern) {
  using nlohmann::json;
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", pattern.empty()}};
  json pretokenizer = byte_level;
  if (!pattern.empty()) {
    const json split = {
        {"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}, {"invert", false}};
    pretokenizer = {{"type", "Sequence"}, {"pretokenizers", json::array({split, byte_level})}};
  }
  const json decoder = {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}};
  const json model = {{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", nullptr},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", false},
                      {"byte_fallback", false},
                      {"ignore_merges", false}};
  const json frame = {{"version", "1.0"},
                      {"truncation", nullptr},
                      {"padding", nullptr},
                      {"normalizer", nullptr},
                      {"pre_tokenizer", pretokenizer},
                      {"post_processor", nullptr},
                      {"decoder", decoder},
                      {"model", model}};
  return frame.dump();
}

void compile(TokenizerParts& parts, std::vector<Merge> merges, const std::string& name) {
  const nlohmann::json document = parse_json(parts.frame, name);
  const JsonField root = JsonField::root(document, name);
  parts.normalizer = read_normalizer(root["normalizer"]);
  parts.pretokenizer = read_pretokenizer(root["pre_tokenizer"]);
  parts.post_processor = read_post_processor(root["post_processor"], parts.vocabulary);
  parts.decoder = read_decoder(root["decoder"]);
  parts.model = BpeModel(parts.vocabulary, std::move(merges), read_options(root["model"], parts.vocabulary));

  Normalizer::Workspace workspace;
  for (const AddedToken& token : parts.added) {
    if (!token.normalized) {
      parts.in_text.add(token, token.content);
      continue;
    }
    parts.normalizer.normalize(token.content, false, workspace);
    if (workspace.result.text.size() > kMaxLiteral) {
      throw FormatError(expected_got(
          name + ": added_tokens", fmt::format("strings of at most {} bytes after normalization", kMaxLiteral),
          fmt::format("{} of '{}'", workspace.result.text.size(), utf8::beginning(token.content, 60))));
    }
    if (!workspace.result.text.empty()) parts.in_normalized.add(token, workspace.result.text);
  }
}

}  // namespace blalm
