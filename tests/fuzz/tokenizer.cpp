// A tokenizer.json: what is taken encodes and decodes any text, and its own file gives the same tokenizer.
#include "data/tokenizer/tokenizer.h"

#include "tests/fuzz/fuzz.h"

using namespace blalm;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kText = "Once upon a time, 12 naïve <s>cats</s>\n\tdidn't\xff  \u0939\u093f\u0928\u094d ";
  constexpr std::size_t kOwnBytes = 200;  // of the input as a text
  const std::string_view json = fuzz::text(data, size);
  fuzz::taken(json, [&] {
    const Tokenizer tokenizer = Tokenizer::from_json(json);
    const std::string written = tokenizer.to_json();
    const Tokenizer again = Tokenizer::from_json(written);
    fuzz::require(again.to_json() == written, "a tokenizer is read as it was written", written);
    for (const std::string_view text : {kText, json.substr(0, kOwnBytes)}) {
      const std::vector<std::int32_t> ids = tokenizer.encode(text);
      for (const std::int32_t id : ids)
        fuzz::require(id >= 0 && id < tokenizer.vocab_size(), "ids lie in the vocabulary");
      fuzz::require(again.encode(text) == ids, "a tokenizer that was written gives the same ids", text);
      const std::string decoded = tokenizer.decode(ids);
      StreamDecoder stream(tokenizer);
      std::string streamed;
      for (const std::int32_t id : ids) streamed += stream.push(id);
      fuzz::require(streamed + stream.finish() == decoded, "ids decode one by one as they do at once", decoded);
    }
  });
  return 0;
}
