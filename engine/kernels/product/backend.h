// What runs other kernels, whose own lists then choose: linear layers and the output head, product by product.
#pragma once

#include "engine/kernels/cross_entropy.h"
#include "engine/kernels/linear.h"

namespace blalm::kernels::product {

void head_loss(const HeadLossArgs&);  // through linear and cross_entropy, whose own lists choose

void linear(const LinearArgs&);
void linear_data(const LinearDataArgs&);
void linear_weight(const LinearWeightArgs&);

}  // namespace blalm::kernels::product
