// A model's config.json: what is taken is a config that can be resolved, written and read to the same.
#include "models/config.h"

#include "models/config_json.h"
#include "tests/fuzz/fuzz.h"

using namespace blalm;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json = fuzz::text(data, size);
  fuzz::taken(json, [&] {
    const ModelConfig config = config_from_json(json);
    const std::string written = to_json(config);
    fuzz::require(to_json(config_from_json(written)) == written, "a config is read as it was written", written);
    const std::string resolved = to_json(config.resolved());
    fuzz::require(to_json(config_from_json(resolved).resolved()) == resolved, "a resolved config stays", resolved);
  });
  return 0;
}
