// Golden files: results of a reference implementation, as safetensors, that the engine is held to.
#pragma once

#include <string>

#include "blalm/apps/check/report.h"
#include "blalm/io/safetensors.h"
#include "blalm/ops/ops.h"

namespace blalm::check {

struct CheckOptions {
  double tolerance = 0;  // 0: 1e-4, and 1e-3 for files that are named extreme-gates
  DType dtype = DType::f32;
  ops::MlstmForm form = ops::MlstmForm::automatic;

  double tolerance_for(const std::string& file) const;
};

// A case of one operation: tensors in/NAME, out, dout, grad/NAME and the metadata "attrs" (JSON); heads in the layout
// [B, H, T, D]. Which operation it is follows from the names of the inputs and attributes. FormatError, or ShapeError
// from the operation, when the file does not hold such a case.
void check_op(const SafetensorsFile& file, const CheckOptions& options, Report& report);

}  // namespace blalm::check
