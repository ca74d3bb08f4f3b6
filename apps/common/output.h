// What the program prints. All of it goes through here, so that a reader that goes away, a terminal that is closed and
// a full disk mean the same everywhere.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "engine/core/utf8.h"

namespace blalm {

// Nobody reads standard output any more: a closed pipe, a terminal that is gone.
struct OutputClosed {};
// Of a program that ends for that reason: what a shell says of one that SIGPIPE has ended.
inline constexpr int kOutputClosedExitCode = 141;

// Descriptors 0 to 2 become /dev/null where they are closed: a file that is opened later would be one of them, and hold
// what is printed. Writing to a closed pipe becomes an error instead of a signal. First thing in main().
void prepare_output();

// What a command is asked to show, to standard output at once. OutputClosed when nobody reads it, which main() makes
// the end of the program without a word; DataError when it cannot be written for another reason (a full disk).
void write_out(std::string_view text);
// What is said beside the work, to standard output: let go when it cannot be written, for the work goes on.
void write_aside(std::string_view text);
// To standard error. Let go when it cannot be written.
void write_error(std::string_view text);

// Why write_aside() had to let something go, when it was not that nobody reads; 0, or an errno.
int lost_output();

// The same of a format, with all that a terminal obeys shown as escapes: names, paths and texts may hold anything.
template <class... T>
void print_out(fmt::format_string<T...> format, T&&... values) {
  write_out(utf8::printable_lines(fmt::vformat(format, fmt::make_format_args(values...))));
}
template <class... T>
void print_aside(fmt::format_string<T...> format, T&&... values) {
  write_aside(utf8::printable_lines(fmt::vformat(format, fmt::make_format_args(values...))));
}
template <class... T>
void print_error(fmt::format_string<T...> format, T&&... values) {
  write_error(utf8::printable_lines(fmt::vformat(format, fmt::make_format_args(values...))));
}

}  // namespace blalm
