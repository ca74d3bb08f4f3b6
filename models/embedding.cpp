#include "models/embedding.h"

#include "models/weight_init.h"

namespace blalm {

Embedding::Embedding(Module& parent, std::string name, const ModelConfig& c)
    : Module(parent, std::move(name)),
      weight(add_parameter("weight", {c.vocab_size, c.hidden_size}, Role::embedding, inner_init(c))) {}

Var Embedding::forward(Pass& pass, const Tensor& ids) {
  const Scope scope = enter(pass);
  return ops::embedding(ids, pass.parameter(weight));
}

MetaTokens::MetaTokens(Module& parent, std::string name, const ModelConfig& c)
    : Module(parent, std::move(name)), count_(c.meta_tokens()) {
  if (count_ > 0)
    vectors_ = &parent.add_parameter("meta_tokens", {count_, c.hidden_size}, Role::embedding, init::normal(1));
}

Var MetaTokens::prepend(Pass& pass, const Var& x) const {
  if (!starts(pass)) return x;
  const Scope scope = enter(pass);
  const Tensor each = Tensor::zeros({x.dim(0), count_, x.dim(2)}, x.dtype());
  const Var parts[] = {ops::add(each, pass.parameter(*vectors_)), x};
  return ops::concat(parts, 1);
}

ResidualStream MetaTokens::drop(Pass& pass, const ResidualStream& in) const {
  if (!starts(pass)) return in;
  const Var x = in.sum();
  return {ops::slice(x, 1, count_, x.dim(1))};
}

}  // namespace blalm
