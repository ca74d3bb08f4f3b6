#include "apps/common/fault.h"

#include <fmt/format.h>

#include <filesystem>
#include <new>
#include <stdexcept>

#include "engine/core/utf8.h"

namespace blalm {

Fault fault_of(const std::exception& e, std::string_view work) {
  if (const auto* error = dynamic_cast<const Error*>(&e)) return {utf8::printable(error->what()), error->exit_code()};
  if (const auto* files = dynamic_cast<const std::filesystem::filesystem_error*>(&e)) {
    const std::string path =
        files->path1().empty() ? "the current folder" : fmt::format("'{}'", files->path1().string());
    return {expected_got("files", fmt::format("to reach {}", path), fmt::format("'{}'", files->code().message())),
            ExitCode::kData};
  }
  if (dynamic_cast<const std::bad_alloc*>(&e) != nullptr || dynamic_cast<const std::length_error*>(&e) != nullptr)
    return {expected_got("memory", fmt::format("room for what {} makes", work), "no more",
                         "other programs may hold it; a smaller model, batch or file takes less"),
            ExitCode::kData};
  return {expected_got(work, "no fault inside the program", "one", "please report it with the command line"),
          ExitCode::kData};
}

}  // namespace blalm
