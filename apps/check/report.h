// What `blalm check` prints: one line a tensor with its relative error, and the count at the end.
#pragma once

#include <string>

#include "engine/core/error.h"
#include "engine/core/tensor.h"

namespace blalm::check {

// Norm of the difference over the norm of the reference, in f64; infinity for NaN or different shapes. A reference of
// zeros counts absolute differences. The norm is that of the reference and, if there is one, of the tensor `beside` it.
double relative_error(const Tensor& got, const Tensor& reference, const Tensor& beside = {});

class Report {
 public:
  // Prints the line of one tensor and counts it.
  void compare(const std::string& file, const std::string& tensor, const Tensor& got, const Tensor& reference,
               double tolerance, const Tensor& beside = {});
  // A file that cannot be read or does not fit: prints why and counts it as one failure.
  void bad_file(const std::string& file, const std::string& message);
  // The same for a file that the kernels asked for do not take.
  void declined(const std::string& file, const std::string& message);
  // Prints "N passed, M failed": tensors, and files without tensors to count. 0, or 4 on a failure, 3 on a bad file.
  ExitCode finish() const;

 private:
  void fail_file(const std::string& file, const std::string& message);

  std::string current_;
  int passed_ = 0, failed_ = 0;
  bool bad_ = false;
};

}  // namespace blalm::check
