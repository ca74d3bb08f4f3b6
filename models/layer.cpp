#include "models/layer.h"

#include "models/config_lists.h"

namespace blalm {
namespace {

std::unique_ptr<Mixer> make_mixer(Module& parent, const ModelConfig& config) {
  const MixerEntry& entry = find_mixer(config.mixer);
  return entry.make(parent, std::string(entry.module), config);
}

}  // namespace

Layer::Layer(Module& parent, std::string name, const ModelConfig& c)
    : Module(parent, std::move(name)),
      width_(c.hidden_size),
      input_layernorm_(*this, "input_layernorm", c.hidden_size, c.rms_norm_eps),
      post_attention_layernorm_(*this, "post_attention_layernorm", c.hidden_size, c.rms_norm_eps),
      mixer_(make_mixer(*this, c)),
      mlp_(*this, "mlp", c) {}

ResidualStream Layer::forward(Pass& pass, const ResidualStream& in) {
  const Scope scope = enter(pass);
  const Normed x = input_layernorm_.forward(pass, in);
  const Normed h = post_attention_layernorm_.forward(pass, {x.sum, mixer_->forward(pass, x.normed)});
  return {h.sum, mlp_.forward(pass, h.normed)};
}

}  // namespace blalm
