// The forms of the mLSTM, for its tests.
#pragma once

#include "engine/ops/ops.h"

namespace blalm::test {

inline constexpr ops::MlstmForm kForms[] = {ops::MlstmForm::recurrent, ops::MlstmForm::parallel,
                                            ops::MlstmForm::chunkwise};

inline const char* name_of(ops::MlstmForm form) {
  return form == ops::MlstmForm::recurrent ? "recurrent" : form == ops::MlstmForm::parallel ? "parallel" : "chunkwise";
}

}  // namespace blalm::test
