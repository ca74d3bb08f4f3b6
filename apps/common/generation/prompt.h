// Prompts, as they are typed, read and shown.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace blalm {

// The text that a prompt means: without a byte-order mark at its beginning and without the CR of line ends, as in
// training text (text_source.h). A CR at the very end goes too: a shell has dropped the LF after it.
std::string prompt_text(std::string_view typed);

// The whole of a file, read as training text is: plain or compressed, its last line end left out. DataError, naming the
// file, for what TextSource refuses and for more than kMaxPromptBytes.
std::string prompt_from_file(const std::filesystem::path& file);
// The same of standard input, plain. DataError when it cannot be read, or for more than kMaxPromptBytes.
std::string prompt_from_standard_input();

inline constexpr std::size_t kMaxPromptBytes = std::size_t{1} << 28;

// What stands before a continuation: the prompt's text, made valid UTF-8. A character that is cut at its end is left
// to the continuation, which may complete it.
std::string shown_prompt(std::string_view typed);

}  // namespace blalm
