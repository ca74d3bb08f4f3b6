#include "blalm/kernels/embedding.h"

namespace blalm::kernels {

const Kernel<EmbeddingArgs> embedding{"embedding",
                                      {{"reference", always, accepts_all<EmbeddingArgs>, reference::embedding}}};
const Kernel<EmbeddingBackwardArgs> embedding_backward{
    "embedding_backward", {{"reference", always, accepts_all<EmbeddingBackwardArgs>, reference::embedding_backward}}};

}  // namespace blalm::kernels
