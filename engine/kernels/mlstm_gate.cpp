#include "blalm/kernels/mlstm_gate.h"

namespace blalm::kernels {

const Kernel<MlstmGateArgs> mlstm_gate{"mlstm_gate",
                                       {{"reference", always, accepts_all<MlstmGateArgs>, reference::mlstm_gate}}};
const Kernel<MlstmGateBackwardArgs> mlstm_gate_backward{
    "mlstm_gate_backward", {{"reference", always, accepts_all<MlstmGateBackwardArgs>, reference::mlstm_gate_backward}}};

}  // namespace blalm::kernels
