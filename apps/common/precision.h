// The precision that a user asks for: a setting of runs and benchmarks, an option of generation.
#pragma once

#include <string>

#include "engine/core/cpu.h"
#include "engine/core/fields.h"
#include "models/pass.h"
#include "optim/config.h"

namespace blalm {

enum class PrecisionChoice { automatic, f32, bf16 };

// The setting "precision".
void add_precision(Fields& fields, PrecisionChoice& choice);

// What automatic comes to on a processor: bf16 where products of it are faster.
PrecisionChoice resolved(PrecisionChoice choice, const CpuInfo& on = cpu());
// What Muon's own products use: automatic is what the model's do.
NewtonSchulzPrecision resolved(NewtonSchulzPrecision choice, PrecisionChoice model);
// Of a choice, automatic being what it comes to here.
Precision precision_of(PrecisionChoice choice);
std::string name_of(PrecisionChoice choice);  // "f32" or "bf16"

}  // namespace blalm
