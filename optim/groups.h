// Which parameter is updated how (spec §13.4).
#pragma once

#include <string_view>

#include "engine/core/parameter.h"
#include "optim/config.h"

namespace blalm {

enum class UpdateRule { adamw, muon };

// Under Muon, hidden matrices go to Muon and everything else to AdamW, at one learning rate:
//   Role::matrix       Muon   projections, feed-forward, Hedgehog maps
//   Role::gate         Muon   the [heads, d] gate matrices, unless gates_in_adamw; Muon gives them, which start at
//                             zero, updates of full size at once
//   Role::embedding    AdamW  token embeddings, learned memory, and the output head, tied or not: their rows are
//                             looked up or compared one by one and are no map between hidden spaces
//   Role::convolution  AdamW  [channels, taps]: one short filter a channel, a matrix in storage only
//   Role::vector, Role::scalar, and anything of rank below 2 (a gate's bias)   AdamW
// A matrix of rank above 2 (one a head) is a batch of matrices of its last two axes.
UpdateRule update_rule(const Parameter& parameter, const OptimConfig& config);

// The role that a model gives to the parameter of this name and rank: for files of parameters that come without a
// model.
Role role_of_name(std::string_view name, int rank);

// Weight decay is for rank 2 and above, embeddings and convolutions included. Norms, biases and modulation scalars
// have none, also where they are stored with a row a head.
bool decays(const Parameter& parameter);

}  // namespace blalm
