// Thousands of damaged files: whatever the damage, a file opens or is refused with a FormatError, and nothing is
// allocated that the bytes do not pay for.
#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/pool.h"
#include "engine/io/safetensors.h"
#include "engine/io/safetensors_header.h"
#include "tests/engine/io/safetensors_bytes.h"
#include "tests/engine/io/support.h"

using namespace blalm;
using namespace blalm::test;

namespace {

// The largest single request to operator new since the last reset, in this whole program.
std::atomic<std::size_t> largest_allocation = 0;

void* metered(std::size_t bytes) {
  std::size_t seen = largest_allocation;
  while (bytes > seen && !largest_allocation.compare_exchange_weak(seen, bytes)) {
  }
  return std::malloc(std::max<std::size_t>(bytes, 1));
}

}  // namespace

void* operator new(std::size_t bytes) {
  if (void* memory = metered(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return metered(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

// One tensor of each kind of dtype, an empty one and a scalar; metadata with escapes.
std::string valid_file() {
  return safetensors_bytes(R"({"__metadata__":{"format":"pt","note":"\u00e9\n"},)"
                           R"("w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                           R"("empty":{"dtype":"F64","shape":[0,5],"data_offsets":[24,24]},)"
                           R"("half":{"dtype":"F16","shape":[3],"data_offsets":[24,30]},)"
                           R"("ids":{"dtype":"I64","shape":[2],"data_offsets":[30,46]},)"
                           R"("flag":{"dtype":"BOOL","shape":[],"data_offsets":[46,47]},)"
                           R"("b":{"dtype":"BF16","shape":[1,1,2],"data_offsets":[47,51]}}   )",
                           std::string(51, '\0'));
}

// Pieces that mean something to a parser of this format.
std::vector<std::string> tokens() {
  std::istringstream pieces(R"({ } [ ] , : " - 0 9 1e9 1.5 null true \u \ [[[[ F32 F8_E4M3 "U8" dtype shape
                               data_offsets [0,0] [0,8] "x":{} "__metadata__":{} 4096 9223372036854775807
                               99999999999999999999)");
  std::vector<std::string> list{" ", "\n", "\xff", "\xc3"};
  for (std::string piece; pieces >> piece;) list.push_back(piece);
  return list;
}

class Damage {
 public:
  explicit Damage(unsigned seed) : random_(seed) {}

  void apply(std::string& file) {
    const std::size_t at = below(file.size() + 1);
    const std::string& token = tokens_[below(tokens_.size())];
    switch (below(8)) {
      case 0: return file.resize(at);
      case 1: file.insert(at, below(20) + 1, static_cast<char>(below(256))); break;
      case 2: file.erase(at, below(20) + 1); break;
      case 3: file.insert(at, token); break;
      case 4: file.replace(at, token.size(), token); break;
      case 5:  // repeat a part of it
        file.insert(at, file.substr(below(file.size() + 1), below(100)));
        break;
      default:  // flip a bit
        if (at < file.size()) file[at] = static_cast<char>(file[at] ^ (1 << below(8)));
    }
    // Half the time the length is set right again, or most files would fail there and the rest see no test.
    const std::size_t brace = file.rfind('}');
    if (brace == file.npos || brace < 8 || below(2) == 0) return;
    const std::size_t data = std::min(file.find_first_not_of(' ', brace + 1), file.size());
    file.replace(0, 8, length_bytes(data - 8));
  }

  std::size_t below(std::size_t bound) { return random_() % bound; }

 private:
  std::mt19937 random_;
  std::vector<std::string> tokens_ = tokens();
};

}  // namespace

TEST_CASE("a damaged file is refused or read, and nothing else") {
  TempFolder folder;
  const std::string valid = valid_file();
  write_plainly(folder / "valid", valid);
  REQUIRE(SafetensorsFile::open(folder / "valid").load("ids").numel() == 2);

  constexpr int kFiles = 20'000;
  constexpr std::size_t kMostBytes = std::size_t{16} << 10;  // files have about 600; a parser's buffers double
  int read = 0, refused = 0, refused_values = 0, other = 0;
  Damage damage(7);
  Pool::instance().reset_peak();
  const std::int64_t pool_before = Pool::instance().stats().live_bytes;
  largest_allocation = 0;
  for (int i = 0; i < kFiles; ++i) {
    std::string bytes = valid;
    do damage.apply(bytes);
    while (damage.below(3) == 0);
    try {
      const safetensors::Header header = safetensors::parse_header("f", std::as_bytes(std::span(bytes)));
      ++read;
      write_plainly(folder / "damaged", bytes);
      const SafetensorsFile file = SafetensorsFile::open(folder / "damaged");
      std::size_t covered = 0;
      for (const std::string& name : file.names()) covered += file.bytes(name).size();
      if (covered != bytes.size() - header.data_begin) ++other;
      try {
        for (const std::string& name : file.names()) file.load(name);
      } catch (const FormatError&) {
        ++refused_values;  // an id that no longer fits in i32, a dtype that is not computed with
      }
    } catch (const FormatError& error) {
      ++refused;
      if (std::string_view(error.what()).find('\n') != std::string_view::npos) ++other;
    } catch (...) {
      ++other;
    }
  }
  const std::int64_t largest_pool = Pool::instance().stats().peak_live_bytes - pool_before;

  CAPTURE(read);
  CAPTURE(refused);
  CHECK(other == 0);
  CHECK(read + refused == kFiles);
  CHECK(read > kFiles / 50);  // the damage is neither harmless nor always fatal
  CHECK(refused > kFiles / 2);
  CHECK(refused_values > 0);
  CHECK(largest_allocation < kMostBytes);
  CHECK(largest_pool < static_cast<std::int64_t>(kMostBytes));
}

TEST_CASE("no length, shape or offset is believed") {
  largest_allocation = 0;
  Pool::instance().reset_peak();
  const std::int64_t pool_before = Pool::instance().stats().live_bytes;
  for (int bit = 4; bit < 64; ++bit) {  // 16 bytes are more than any of these files has
    const std::uint64_t huge = std::uint64_t{1} << bit;
    const std::string number = std::to_string(huge);
    for (const std::string& file :
         {length_bytes(huge) + "{}        ",
          safetensors_bytes(R"({"x":{"dtype":"U8","shape":[)" + number + R"(],"data_offsets":[0,)" + number + "]}}"),
          safetensors_bytes(R"({"x":{"dtype":"F64","shape":[)" + number + R"(],"data_offsets":[0,8]}})", "12345678"),
          safetensors_bytes(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[)" + number + "," + number + "]}}")})
      CHECK_THROWS_AS(safetensors::parse_header("f", std::as_bytes(std::span(file))), FormatError);
  }
  CHECK(largest_allocation < std::size_t{16} << 10);
  CHECK(Pool::instance().stats().peak_live_bytes - pool_before < 4096);
}
