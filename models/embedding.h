// Token embeddings, and the learned vectors that may stand before the first token (spec §4.1, §9.2).
#pragma once

#include "models/config.h"
#include "models/module.h"

namespace blalm {

class Embedding : public Module {
 public:
  Embedding(Module& parent, std::string name, const ModelConfig& config);
  Var forward(Pass& pass, const Tensor& ids);  // i32 [B, T] -> [B, T, d]; DataError for an id outside the vocabulary

  Parameter& weight;  // [V, d]
};

// M learned vectors that every sequence begins with; no output is taken from their positions.
class MetaTokens : public Module {
 public:
  // M = 0: the identity, without parameters. The vectors are a parameter of the parent, "meta_tokens".
  MetaTokens(Module& parent, std::string name, const ModelConfig& config);
  Var prepend(Pass& pass, const Var& x) const;  // [B, T, d] -> [B, M + T, d], at the start of a sequence
  ResidualStream drop(Pass& pass, const ResidualStream& in) const;  // the reverse

 private:
  bool starts(const Pass& pass) const { return vectors_ != nullptr && pass.position() == 0; }

  std::int64_t count_;
  Parameter* vectors_ = nullptr;  // [M, d]
};

}  // namespace blalm
