// What the fuzz targets share. A target is a file of this folder with one function, LLVMFuzzerTestOneInput: it takes
// any bytes through a reader that users' files reach. The reader may take them or refuse them by an error of ours in
// one line. All else ends the program, which is what the fuzzer reports: another exception, a broken promise (require),
// a fault that a sanitizer sees, too much memory or time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/core/error.h"
#include "tests/engine/io/support.h"

namespace blalm::fuzz {

inline std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

[[noreturn]] inline void fail(std::string_view promise, std::string_view detail) {
  std::fprintf(stderr, "broken promise: %.*s\n%.*s\n", static_cast<int>(promise.size()), promise.data(),
               static_cast<int>(detail.size()), detail.data());
  std::abort();
}

inline void require(bool kept, std::string_view promise, std::string_view detail = {}) {
  if (!kept) fail(promise, detail);
}

// A message of ours is one line of text that a terminal shows as it is, and no library's own words (but for those that
// stand in the input and are quoted).
inline void check_message(std::string_view message, std::string_view input) {
  require(!message.empty(), "an error says something");
  for (const char c : message)
    require(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "an error is one line without control characters",
            message);
  for (const std::string_view raw : {"json.exception", "basic_string", "std::", "filesystem error"})
    require(message.find(raw) == message.npos || input.find(raw) != input.npos, "an error is in our own words",
            message);
}

// Runs `read`, which goes through the input, and takes its typed error for an answer. Whether there was none.
template <class Read>
bool taken(std::string_view input, Read&& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    check_message(error.what(), input);
    return false;
  }
}

// For what takes paths: one folder a process, in TMPDIR.
inline const test::TempFolder& folder() {
  static const test::TempFolder folder;
  return folder;
}

// A file of that folder with these bytes.
inline std::filesystem::path file_of(std::string_view bytes, std::string_view name) {
  std::filesystem::path path = folder() / name;
  test::write_plainly(path, bytes);
  return path;
}

}  // namespace blalm::fuzz
