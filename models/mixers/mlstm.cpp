// The BLaLM mixer (spec §5): an mLSTM with features, each of which is the identity when it is off.
//   q, k, v = conv(W x)        i, f = cap(W x + b)        h = norm(mlstm(φ(q), φ(k), v, i, f))
//   y = W_out(σ(W_o x) ⊙ (h + ρ swa(q, k, v)))
// Here conv stands for the stages that are on, φ for the feature map and swa for the branches.
#include <algorithm>
#include <utility>

#include "models/config.h"
#include "models/config_lists.h"
#include "models/features/mlstm_output.h"
#include "models/features/mlstm_gate.h"
#include "models/linear.h"
#include "models/weight_init.h"

namespace blalm {
namespace {

// First values of the gates (spec §5.8).
struct GateValues {
  Init weight = init::constant(0);
  Init input_bias = init::constant(-10);
  Init forget_bias = init::linspace(3, 6);
};

GateValues gate_values(GateInit kind) {
  GateValues values;
  if (kind == GateInit::xlstm_paper) values.input_bias = init::normal(0.1);
  if (kind == GateInit::hf_llama) values = {init::normal(0.02), init::constant(0), init::constant(0)};
  return values;
}

class MlstmMixer : public Mixer {
 public:
  MlstmMixer(Module& parent, std::string name, const ModelConfig& c)
      : Mixer(parent, std::move(name)),
        heads_(c.num_attention_heads),
        groups_(c.key_value_heads()),
        head_dim_(c.head_dim()),
        q_proj_(*this, "q_proj", c.hidden_size, heads_ * head_dim_, inner_init(c)),
        k_proj_(*this, "k_proj", c.hidden_size, groups_ * head_dim_, inner_init(c)),
        v_proj_(*this, "v_proj", c.hidden_size, groups_ * head_dim_, inner_init(c)),
        ogate_proj_(*this, "ogate_proj", c.hidden_size, heads_ * head_dim_, inner_init(c)),
        out_proj_(*this, "out_proj", heads_ * head_dim_, c.hidden_size, residual_init(c, c.hidden_size)),
        igate_(*this, "igate", c.hidden_size, heads_, gate_values(c.gate_init).weight,
               gate_values(c.gate_init).input_bias, c.gate_soft_cap),
        fgate_(*this, "fgate", c.hidden_size, heads_, gate_values(c.gate_init).weight,
               gate_values(c.gate_init).forget_bias, c.gate_soft_cap),
        output_(*this, "head_norm", heads_, head_dim_, c.mlstm_norm),
        stages_(make_stages(*this, c)),
        q_map_(find_feature_map(c.feature_map).make(*this, "q_" + c.feature_map, c, heads_)),
        k_map_(find_feature_map(c.feature_map).make(*this, "k_" + c.feature_map, c, groups_)),
        branches_(make_branches(*this, c)),
        options_{.scale = q_map_->scale(), .eps = c.mlstm_eps, .chunk = c.chunk_size},
        C_(add_state("C", {heads_, q_map_->features(), head_dim_}, true)),
        n_(add_state("n", {heads_, q_map_->features()}, true)),
        m_(add_state("m", {heads_}, true)) {}

  Var forward(Pass& pass, const Var& x) override {
    const Scope scope = enter(pass);
    const std::int64_t B = x.dim(0), T = x.dim(1);
    const Shape by_head{B, T, heads_, head_dim_}, by_group{B, T, groups_, head_dim_};

    // [B, T, H·D], [B, T, G·D], [B, T, G·E], [B, T, H·E], [B, T, H], [B, T, H]
    const auto [xq, xk, xv, o, xi, xf] = project(pass, x, q_proj_, k_proj_, v_proj_, ogate_proj_,
                                                 to(pass.compute(), igate_), to(pass.compute(), fgate_));
    const Var i = igate_.capped(pass, xi), f = fgate_.capped(pass, xf);
    const Qkv projected{xq, xk, xv};
    Qkv staged = projected;
    for (const auto& stage : stages_) staged = stage->forward(pass, staged);
    // [B, T, H, D], [B, T, G, D], [B, T, G, E]
    const Qkv heads{ops::reshape(staged.q, by_head), ops::reshape(staged.k, by_group), ops::reshape(staged.v, by_group)};
    const Var h = recur(pass, q_map_->forward(pass, heads.q), k_map_->forward(pass, heads.k), heads.v, i, f);
    std::vector<ops::SideBranch> sides;  // of h, [B, T, H, E]
    for (const auto& branch : branches_) sides.push_back(branch->forward(pass, heads, projected));
    const Var y = output_.forward(pass, h, o, sides);       // [B, T, H·E]
    return out_proj_.forward_to(pass.residual(), pass, y);  // [B, T, d]
  }

  double flops(std::int64_t length) const override {
    const double D = static_cast<double>(q_map_->features()), E = static_cast<double>(head_dim_);
    const double pairs = static_cast<double>(std::min(length, options_.chunk));
    return static_cast<double>(heads_) * (2 * pairs * (D + E) + 4 * D * E);  // the cell
  }

 private:
  // The cell (spec §5.2), continuing from the state when decoding: -> [B, T, H, E].
  Var recur(Pass& pass, const Var& q, const Var& k, const Var& v, const Var& i, const Var& f) {
    ops::MlstmOptions options = options_;
    options.form = pass.options.mlstm_form;
    if (!pass.decoding()) return ops::mlstm(q, k, v, i, f, options);
    // The parallel form carries no state.
    if (options.form == ops::MlstmForm::parallel) options.form = ops::MlstmForm::automatic;
    ops::MlstmState state{std::move(pass.slot(C_)), std::move(pass.slot(n_)), std::move(pass.slot(m_))};
    const Tensor h = ops::mlstm_continue(q.value(), k.value(), v.value(), i.value(), f.value(), state, options);
    pass.slot(C_) = std::move(state.C);
    pass.slot(n_) = std::move(state.n);
    pass.slot(m_) = std::move(state.m);
    return h;
  }

  std::int64_t heads_, groups_, head_dim_;
  Linear q_proj_, k_proj_, v_proj_, ogate_proj_, out_proj_;
  MlstmGate igate_, fgate_;
  MlstmOutput output_;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::unique_ptr<FeatureMapModule> q_map_, k_map_;
  std::vector<std::unique_ptr<Branch>> branches_;
  ops::MlstmOptions options_;
  int C_, n_, m_;  // slots
};

}  // namespace

// Has a place for every feature.
extern constinit const MixerEntry mlstm_mixer{"mlstm", "mlstm", make<Mixer, MlstmMixer, const ModelConfig&>,
                                              [](const ModelConfig&) {}};

}  // namespace blalm
