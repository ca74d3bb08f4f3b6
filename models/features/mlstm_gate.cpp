#include "models/features/mlstm_gate.h"

namespace blalm {

MlstmGate::MlstmGate(Module& parent, std::string name, std::int64_t in, std::int64_t heads, const Init& weight_init,
                     const Init& bias_init, double cap)
    : Linear(parent, std::move(name), in, heads, weight_init, Role::gate),
      bias(add_parameter("bias", {heads}, Role::vector, bias_init)),
      heads_(heads),
      cap_(cap) {}

Var MlstmGate::capped(Pass& pass, const Var& projected) {
  const Scope scope = enter(pass);
  return ops::mlstm_gate(projected, pass.parameter(bias), cap_);
}

}  // namespace blalm
