#include "apps/common/generation/generator.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <span>

#include "apps/common/generation/prompt.h"
#include "apps/common/generation/stop_matcher.h"
#include "apps/common/generation/text_rules.h"
#include "apps/common/generation/valid_text.h"
#include "engine/core/error.h"
#include "models/decode.h"

namespace blalm {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kPrefillPiece = 512;  // tokens read at once: a long prompt takes no more memory

// A prompt and what has come after it.
struct Sequence {
  Sequence(const Tokenizer& tokenizer, const TextRules& rules, const std::string& prompt,
           const GenerateOptions& options, std::uint64_t stream)
      : ids(rules.prompt_ids(prompt)), decoder(tokenizer), matcher(options.stop), rng(options.seed, stream) {
    valid.push(prompt);  // which may end within a character
  }

  std::vector<std::int32_t> ids;  // of the prompt
  StreamDecoder decoder;
  StopMatcher matcher;
  ValidText valid;
  Rng rng;
  GeneratedText result;
};

class Generation {
 public:
  Generation(LanguageModel& model, const Tokenizer& tokenizer, const GenerateOptions& options,
             const std::function<bool(const TokenEvent&)>& on_token)
      : model_(model),
        tokenizer_(tokenizer),
        options_(options),
        on_token_(on_token),
        rules_(model, tokenizer),
        sampler_(options.sampler),
        position_free_(is_position_free(model.config())) {}

  void add(const std::string& prompt, std::int64_t occurrence) {
    const std::uint64_t stream = stream_of(prompt + '\0' + std::to_string(occurrence));
    sequences_.emplace_back(tokenizer_, rules_, prompt, options_, stream);
  }

  std::vector<GeneratedText> run(GenerateSpeed& speed) {
    const auto start = Clock::now();
    std::vector<Group> groups = read_prompts(speed.read);
    const auto middle = Clock::now();
    speed.reading += std::chrono::duration<double>(middle - start).count();
    while (!groups.empty()) {
      for (Group& group : groups) advance(group);
      std::erase_if(groups, [](const Group& group) { return group.live.empty(); });
    }
    speed.writing += std::chrono::duration<double>(Clock::now() - middle).count();
    for (const Sequence& s : sequences_) speed.written += s.result.tokens;
    std::vector<GeneratedText> results;
    for (Sequence& s : sequences_) results.push_back(std::move(s.result));
    return results;
  }

 private:
  // Sequences that go forward together, a row each.
  struct Group {
    std::vector<std::size_t> live;  // which they are
    DecodeState state;
    Tensor logits;  // [rows, V]
  };

  // Each prompt is read by itself, so that its state does not depend on others.
  std::vector<Group> read_prompts(std::int64_t& tokens) {
    std::map<std::size_t, std::vector<std::size_t>> together;
    for (std::size_t i = 0; i < sequences_.size(); ++i)
      together[position_free_ ? 0 : sequences_[i].ids.size()].push_back(i);
    std::vector<Group> groups;
    for (auto& [length, members] : together) {
      std::vector<StateRow> rows;
      std::vector<DecodeState> states;
      const auto count = static_cast<std::int64_t>(members.size());
      Tensor logits = Tensor::empty({count, model_.config().vocab_size});
      for (const std::size_t i : members) {
        states.emplace_back(model_, 1);
        const auto row = static_cast<std::int64_t>(states.size()) - 1;
        logits.rows(row, row + 1).copy_from(read(sequences_[i].ids, states.back(), tokens));
        if (interrupted_) return all_interrupted();
      }
      for (const DecodeState& state : states) rows.push_back({&state, 0});
      groups.push_back({std::move(members), DecodeState::gather(model_, rows), logits});
    }
    return groups;
  }

  std::vector<Group> all_interrupted() {
    for (Sequence& s : sequences_) s.result.ending = Ending::interrupted;
    return {};
  }

  // The logits after the last token; after an earlier one when it was interrupted.
  Tensor read(std::span<const std::int32_t> ids, DecodeState& state, std::int64_t& tokens) {
    Tensor logits;
    while (!ids.empty()) {
      const std::span<const std::int32_t> piece = ids.first(std::min(kPrefillPiece, ids.size()));
      logits = prefill(model_, Tensor::from_ids({1, static_cast<std::int64_t>(piece.size())}, piece), state);
      ids = ids.subspan(piece.size());
      tokens += static_cast<std::int64_t>(piece.size());
      interrupted_ = options_.stop_asked && options_.stop_asked();
      if (interrupted_) break;
    }
    return logits;
  }

  // Draws a token for each row, drops those whose text has ended, and steps with the others.
  void advance(Group& group) {
    const Tensor logits = group.logits.to(DType::f32);
    std::vector<std::int32_t> next;
    std::vector<std::size_t> still;
    std::vector<StateRow> rows;
    for (std::size_t i = 0; i < group.live.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i);
      Sequence& s = sequences_[group.live[i]];
      const std::int32_t id = interrupted_ ? 0 : draw(group.live[i], logits.row(row).values<float>());
      if (interrupted_ && s.result.ending == Ending::not_yet) s.result.ending = Ending::interrupted;
      if (s.result.ending != Ending::not_yet) continue;
      next.push_back(id);
      still.push_back(group.live[i]);
      rows.push_back({&group.state, row});
    }
    const bool fewer = still.size() < group.live.size();
    group.live = std::move(still);
    if (interrupted_ || group.live.empty()) {
      for (const std::size_t i : group.live) sequences_[i].result.ending = Ending::interrupted;
      group.live.clear();
      return;
    }
    if (fewer) group.state = DecodeState::gather(model_, rows);
    group.logits = step(model_, Tensor::from_ids({static_cast<std::int64_t>(next.size())}, next), group.state);
  }

  std::int32_t draw(std::size_t index, std::span<const float> logits) {
    Sequence& s = sequences_[index];
    allowed_.assign(logits.begin(), logits.end());
    rules_.rule_out(allowed_, options_.ignore_end);
    TokenEvent event;
    event.prompt = index;
    event.id = sampler_.sample(allowed_, s.rng);
    event.log_probability = log_probability(logits, event.id);
    ++s.result.tokens;
    std::string bytes;
    if (rules_.ends_text(event.id)) {
      s.result.ending = Ending::end_token;
    } else {
      bytes = s.matcher.push(s.decoder.push(event.id));
      if (s.matcher.stopped())
        s.result.ending = Ending::stop_string;
      else if (s.result.tokens >= options_.max_tokens)
        s.result.ending = Ending::max_tokens;
    }
    if (s.result.ending != Ending::not_yet) bytes += s.matcher.push(s.decoder.finish()) + s.matcher.finish();
    event.text = s.valid.push(bytes);
    // More tokens would complete a character that max_tokens cuts; any other end is the end of the text.
    if (s.result.ending != Ending::not_yet && s.result.ending != Ending::max_tokens) event.text += s.valid.finish();
    event.ending = s.result.ending;
    s.result.text += event.text;
    if (on_token_ && !on_token_(event)) interrupted_ = true;
    return event.id;
  }

  LanguageModel& model_;
  const Tokenizer& tokenizer_;
  const GenerateOptions& options_;
  const std::function<bool(const TokenEvent&)>& on_token_;
  TextRules rules_;
  Sampler sampler_;
  std::vector<Sequence> sequences_;
  std::vector<float> allowed_;
  bool position_free_;  // nothing in the state depends on where a sequence stands
  bool interrupted_ = false;
};

}  // namespace

Fields GenerateOptions::fields() {
  Fields f;
  f.add("max-tokens", max_tokens, "tokens after the prompt at most").at_least(1).at_most(1e9);
  f.append(sampler.fields());
  f.add("seed", seed,
        "of the random draws: the same model, prompt and settings give the same text, whatever the other prompts and, "
        "with --backend cpu, on any number of threads; another seed gives another text");
  return f;
}

std::vector<GeneratedText> generate(LanguageModel& model, const Tokenizer& tokenizer,
                                    const std::vector<std::string>& typed, const GenerateOptions& options,
                                    const std::function<bool(const TokenEvent&)>& on_token, GenerateSpeed* speed) {
  if (typed.empty()) return {};
  std::vector<std::string> prompts;
  for (const std::string& prompt : typed) prompts.push_back(prompt_text(prompt));
  Generation generation(model, tokenizer, options, on_token);
  for (std::size_t i = 0; i < prompts.size(); ++i)
    generation.add(prompts[i],
                   std::count(prompts.begin(), prompts.begin() + static_cast<std::ptrdiff_t>(i), prompts[i]));
  GenerateSpeed ignored;
  return generation.run(speed != nullptr ? *speed : ignored);
}

}  // namespace blalm
