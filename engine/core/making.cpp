#include "engine/core/making.h"

#include <fmt/format.h>

#include "engine/core/error.h"

namespace blalm {

void out_of_memory(std::string_view what) {
  throw DataError(expected_got("memory", fmt::format("room for {}", what), "no more",
                               "other programs may hold it; a smaller model, batch or file takes less"));
}

}  // namespace blalm
