// Golden files: results of a reference implementation, as safetensors, that the engine is held to.
#pragma once

#include <string>

#include "apps/check/report.h"
#include "engine/core/fields.h"
#include "engine/io/safetensors.h"
#include "engine/ops/ops.h"

namespace blalm::check {

// Largest relative errors.
struct Tolerance {
  double result = 0, loss = 0, gradient = 0;  // loss: of a model
};

struct CheckOptions {
  double tolerance = 0;  // of all; 0: the defaults of tolerance_for
  DType dtype = DType::f32;
  ops::MlstmForm form = ops::MlstmForm::automatic;

  // What the command line may set as a number: "tolerance".
  Fields fields();

  // 1e-4; ten times that for files that are named extreme-gates. In bf16 what one operation rounds (spec §6): 2e-2, and
  // 3e-2 for gradients.
  Tolerance tolerance_for(const std::string& file) const;
  // The same for models. In bf16 a model's layers add up what each rounds: 3e-2 for logits, 3e-3 for the loss and 0.25
  // for gradients. Largest errors of the golden models, over all backends, forms and --composed: logits 1.9e-2, loss
  // 4.5e-4, gradients 0.18 (swa_alpha), 0.13 (matrices).
  Tolerance model_tolerance_for(const std::string& file) const;
};

// What each kind of file holds is checked before anything is computed: a tensor that is missing, one too many or one of
// another shape is a FormatError, which lists them all.

// Of any kind: a model has the metadata "config", an optimiser has tensors param/…, all else is an operation.
void check_file(const SafetensorsFile& file, const CheckOptions& options, Report& report);

// A case of one operation: tensors in/NAME, out, dout, grad/NAME and the metadata "attrs" (JSON); heads in the layout
// [B, H, T, D]. Which operation it is follows from the names of the inputs and attributes. dtype bf16 is that of
// activations; weights and gates stay f32.
void check_op(const SafetensorsFile& file, const CheckOptions& options, Report& report);

// A model: metadata "config" (as config.json has it), tensors param/NAME, ids and targets i32 [B, T], and the results:
// logits [B, T, V], loss, grad/NAME. dtype bf16 is the precision of activations; parameters stay f32, and a
// gate's bias is judged beside its weight.
void check_model(const SafetensorsFile& file, const CheckOptions& options, Report& report);

// An optimiser: metadata "attrs" (lr, weight_decay, betas, … by the keys of the section optim), tensors param/NAME, and
// for steps 1, 2, … grad/STEP/NAME and the result after/STEP/NAME. Roles follow from names. Which optimiser it
// is, if no attribute "optimizer" says so, shows in the first step: the one that comes nearer to it is held to the
// rest. dtype bf16 is that of Newton-Schulz products; parameters stay f32.
void check_optim(const SafetensorsFile& file, const CheckOptions& options, Report& report);

}  // namespace blalm::check
