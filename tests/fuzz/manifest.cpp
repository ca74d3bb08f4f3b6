// The data.json of prepared data: what is taken is written again and read to the same, and the tokens that it leads to
// are opened or refused.
#include "data/shards/prepared.h"
#include "data/shards/token_data.h"
#include "tests/fuzz/samples.h"

using namespace blalm;

namespace {

std::string written(const PreparedData& data) {
  static const test::TempFolder copy;
  write_prepared(copy.path(), data);
  return test::read_plainly(copy / "data.json");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const PreparedData sample = fuzz::prepare_sample(fuzz::folder().path());
  const std::string_view input = fuzz::text(data, size);
  fuzz::file_of(input, "data.json");
  fuzz::taken(input, [&] {
    const PreparedData read = read_prepared(fuzz::folder().path());
    const std::string json = written(read);
    fuzz::file_of(json, "data.json");
    fuzz::require(written(read_prepared(fuzz::folder().path())) == json, "data.json is read as it was written", json);
    for (const Part part : {Part::train, Part::valid})
      fuzz::taken(input, [&] { TokenData::open(fuzz::folder().path(), part).counts_every(3); });
  });
  return 0;
}
