// The list of all censuses. Each test file defines one function that returns those of the ops in its source file.
#pragma once

#include "census.h"

namespace blalm::census {

std::vector<OpCensus> elementwise();
std::vector<OpCensus> reduce();
std::vector<OpCensus> rms_norm();
std::vector<OpCensus> matmul();
std::vector<OpCensus> cross_entropy();
std::vector<OpCensus> shape();
std::vector<OpCensus> softmax();
std::vector<OpCensus> mlstm();
std::vector<OpCensus> mlstm_gate();
std::vector<OpCensus> head_norm();
std::vector<OpCensus> rope();
std::vector<OpCensus> swiglu();
std::vector<OpCensus> gate();
std::vector<OpCensus> short_conv();
std::vector<OpCensus> dropout();
std::vector<OpCensus> modulation();
std::vector<OpCensus> hedgehog();
std::vector<OpCensus> attention();

inline const std::vector<std::vector<OpCensus> (*)()> kAll = {
    elementwise, reduce, rms_norm, matmul, cross_entropy, shape, softmax, mlstm, mlstm_gate, head_norm, rope, swiglu, gate, short_conv, dropout, modulation, hedgehog, attention,
};

}  // namespace blalm::census
