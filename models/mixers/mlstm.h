// The BLaLM mixer (spec §5): an mLSTM with a short convolution, feature maps and sliding-window attention, each of
// which is the identity when it is off.
//   q, k, v = conv(W x)        i, f = cap(W x + b)        h = norm(mlstm(φ(q), φ(k), v, i, f))
//   y = W_out(σ(W_o x) ⊙ (h + ρ swa(q, k, v)))
#pragma once

#include <memory>

#include "blalm/models/config.h"
#include "blalm/models/features/head_norm.h"
#include "blalm/models/features/short_conv.h"
#include "blalm/models/features/window_attention.h"
#include "blalm/models/linear.h"
#include "blalm/models/mixer.h"

namespace blalm {

class MlstmMixer : public Mixer {
 public:
  MlstmMixer(Module& parent, std::string name, const ModelConfig& config);
  static void check(const ModelConfig& config);

  Var forward(Pass& pass, const Var& x) override;
  double flops(std::int64_t length) const override;

 private:
  // The cell (spec §5.2), continuing from the state when decoding: -> [B, T, H, E].
  Var recur(Pass& pass, const Var& q, const Var& k, const Var& v, const Var& i, const Var& f);

  std::int64_t heads_, groups_, head_dim_;
  double gate_cap_;
  bool swa_after_conv_;
  ops::MlstmOptions options_;
  Linear q_proj_, k_proj_, v_proj_, ogate_proj_, out_proj_, igate_, fgate_;
  HeadNorm head_norm_;
  ShortConv q_conv_, k_conv_, v_conv_;
  std::unique_ptr<FeatureMapModule> q_map_, k_map_;
  WindowAttention swa_;
  int C_, n_, m_;  // slots
};

}  // namespace blalm
