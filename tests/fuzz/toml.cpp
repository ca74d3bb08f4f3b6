// The settings of a run as TOML: what is taken is written as a config.toml that means the same.
#include "apps/common/run_config.h"
#include "apps/common/settings.h"
#include "tests/fuzz/fuzz.h"

using namespace blalm;

namespace {

std::string resolved_toml(std::string_view text, std::string_view name) {
  RunConfig config;
  config.configure(read_settings(fuzz::file_of(text, name)));
  return config.to_toml();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view toml = fuzz::text(data, size);
  fuzz::taken(toml, [&] {
    const std::string written = resolved_toml(toml, "input.toml");
    try {
      fuzz::require(resolved_toml(written, "config.toml") == written, "settings are read as they were written",
                    written);
    } catch (const Error& error) {
      fuzz::fail("what is written can be read", written + error.what());
    }
  });
  return 0;
}
