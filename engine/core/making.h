// Out of memory, told with what was being made.
#pragma once

#include <new>
#include <stdexcept>
#include <string_view>

namespace blalm {

// Throws DataError "[memory] expected room for WHAT, got no more …".
[[noreturn]] void out_of_memory(std::string_view what);

// The result of make(). Where that finds no memory, or asks for more than any container holds: out_of_memory(what).
template <class Make>
decltype(auto) making(std::string_view what, Make&& make) {
  try {
    return make();
  } catch (const std::bad_alloc&) {
    out_of_memory(what);
  } catch (const std::length_error&) {
    out_of_memory(what);
  }
}

}  // namespace blalm
