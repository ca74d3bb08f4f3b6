// The errors that blalm throws. A user's mistake throws one of these; a programmer's mistake is an assertion.
// Messages are one line: "[where] expected X, got Y (what to do)".
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace blalm {

// Exit codes of the program (design §10).
enum class ExitCode : int { kDone = 0, kUsage = 2, kData = 3, kNumeric = 4, kInterrupted = 130 };

class Error : public std::runtime_error {
 public:
  Error(const std::string& message, ExitCode code) : std::runtime_error(message), code_(code) {}
  ExitCode exit_code() const { return code_; }

 private:
  ExitCode code_;
};

// An operation was given tensors of the wrong shape, dtype or number.
class ShapeError : public Error {
 public:
  explicit ShapeError(const std::string& message) : Error(message, ExitCode::kData) {}
};

// A setting, flag or combination of them that cannot be used.
class ConfigError : public Error {
 public:
  explicit ConfigError(const std::string& message) : Error(message, ExitCode::kUsage) {}
};

// Data that cannot be read or does not fit: a missing file, an empty text, a token out of range, a full disk.
class DataError : public Error {
 public:
  explicit DataError(const std::string& message) : Error(message, ExitCode::kData) {}
};

// A file that breaks the rules of its own format.
class FormatError : public Error {
 public:
  explicit FormatError(const std::string& message) : Error(message, ExitCode::kData) {}
};

// NaN, infinity or a mismatch where numbers were expected to agree.
class NumericError : public Error {
 public:
  explicit NumericError(const std::string& message) : Error(message, ExitCode::kNumeric) {}
};

// "[where] expected X, got Y (hint)"; the hint is left out when empty.
std::string expected_got(std::string_view where, std::string_view expected, std::string_view got,
                         std::string_view hint = {});

}  // namespace blalm
