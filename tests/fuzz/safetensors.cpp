// A safetensors file: what opens can be read, written again and read to the same. An input that begins with '{' is a
// header up to its last '}' and the data after it; the length in front, which would rarely fit, is put there.
#include "engine/io/safetensors.h"

#include <algorithm>

#include "tests/engine/io/safetensors_bytes.h"
#include "tests/fuzz/fuzz.h"

using namespace blalm;

namespace {

std::string framed(std::string_view input) {
  const std::size_t end = input.rfind('}');
  if (!input.starts_with('{') || end == input.npos) return std::string(input);
  return test::safetensors_bytes(input.substr(0, end + 1), input.substr(end + 1));
}

// All tensors that we compute with; one with a value that does not fit its dtype here is refused by itself.
SafetensorsWriter copy_of(const SafetensorsFile& file, std::string_view input) {
  SafetensorsWriter copy;
  for (const std::string& name : file.names()) fuzz::taken(input, [&] { copy.add(name, file.load(name)); });
  for (const auto& [key, value] : file.metadata()) copy.metadata(key, value);
  return copy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input = fuzz::text(data, size);
  fuzz::taken(input, [&] {
    const SafetensorsFile file = SafetensorsFile::open(fuzz::file_of(framed(input), "input"));
    copy_of(file, input).write(fuzz::folder() / "copy");
    const SafetensorsFile copy = SafetensorsFile::open(fuzz::folder() / "copy");
    fuzz::require(copy.metadata() == file.metadata(), "metadata is read as it was written");
    for (const std::string& name : copy.names()) {
      const Tensor ours = copy.load(name);
      fuzz::require(ours.shape() == file.info(name).shape, "a shape is read as it was written", name);
      if (ours.dtype() != file.load(name).dtype() || copy.info(name).dtype != file.info(name).dtype) continue;
      fuzz::require(std::ranges::equal(copy.bytes(name), file.bytes(name)), "numbers are read as they were written",
                    name);
    }
  });
  return 0;
}
