#include "apps/common/precision.h"

namespace blalm {

void add_precision(Fields& fields, PrecisionChoice& choice) {
  fields.add("precision", choice, {"auto", "f32", "bf16"},
             "of matrix products; auto: bf16 where the processor multiplies it faster (AMX, AVX512-BF16)");
}

PrecisionChoice resolved(PrecisionChoice choice, const CpuInfo& on) {
  if (choice != PrecisionChoice::automatic) return choice;
  return on.multiplies_bf16() ? PrecisionChoice::bf16 : PrecisionChoice::f32;
}

NewtonSchulzPrecision resolved(NewtonSchulzPrecision choice, PrecisionChoice model) {
  if (choice != NewtonSchulzPrecision::automatic) return choice;
  return resolved(model) == PrecisionChoice::bf16 ? NewtonSchulzPrecision::bf16 : NewtonSchulzPrecision::f32;
}

Precision precision_of(PrecisionChoice choice) {
  return resolved(choice) == PrecisionChoice::bf16 ? Precision::bf16() : Precision::f32();
}

std::string name_of(PrecisionChoice choice) { return resolved(choice) == PrecisionChoice::bf16 ? "bf16" : "f32"; }

}  // namespace blalm
