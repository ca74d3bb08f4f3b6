#include "engine/kernels/embedding.h"

#include <cstring>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/kernels/reference/backend.h"

namespace blalm::kernels::reference {

void embedding(const EmbeddingArgs& a) {
  const std::int32_t* ids = a.ids.data<std::int32_t>();
  const auto* table = static_cast<const std::byte*>(a.weight.raw());
  auto* y = static_cast<std::byte*>(a.y.mutable_raw());
  const std::int64_t row = a.weight.dim(1) * size_of(a.weight.dtype());
  parallel_for(a.ids.numel(), static_cast<double>(row) / 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      std::memcpy(y + i * row, table + ids[i] * row, static_cast<std::size_t>(row));
  });
}

void embedding_backward(const EmbeddingBackwardArgs& a) {
  const std::int32_t* ids = a.ids.data<std::int32_t>();
  const std::int64_t n = a.ids.numel(), vocabulary = a.dweight.dim(0), d = a.dweight.dim(1);
  // Positions grouped by id (a stable counting sort), so that each row of the table has one writer and one order.
  std::vector<std::int64_t> first(static_cast<std::size_t>(vocabulary) + 1);
  for (std::int64_t i = 0; i < n; ++i) ++first[static_cast<std::size_t>(ids[i]) + 1];
  for (std::size_t v = 1; v < first.size(); ++v) first[v] += first[v - 1];
  std::vector<std::int64_t> positions(static_cast<std::size_t>(n)), next(first.begin(), first.end() - 1);
  for (std::int64_t i = 0; i < n; ++i)
    positions[static_cast<std::size_t>(next[static_cast<std::size_t>(ids[i])]++)] = i;

  visit_floating(a.dweight.dtype(), [&](auto tag) {
    using W = typename decltype(tag)::type;
    W* dw = a.dweight.mutable_data<W>();
    const auto sum = [&](const auto* dy) {
      const double cost = static_cast<double>(d) * (1 + static_cast<double>(n) / static_cast<double>(vocabulary));
      parallel_for(vocabulary, cost, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t v = begin; v < end; ++v) {
          W* row = dw + v * d;
          if (!a.add) std::fill_n(row, d, W());
          for (std::int64_t p = first[static_cast<std::size_t>(v)]; p < first[static_cast<std::size_t>(v) + 1]; ++p) {
            const auto* g = dy + positions[static_cast<std::size_t>(p)] * d;
            for (std::int64_t j = 0; j < d; ++j)
              row[j] = static_cast<W>(static_cast<Compute<W>>(row[j]) + static_cast<Compute<W>>(g[j]));
          }
        }
      });
    };
    if (a.dy.dtype() == a.dweight.dtype())
      sum(a.dy.data<W>());
    else if constexpr (std::is_same_v<W, float>)
      sum(a.dy.data<BFloat16>());
  });
}

}  // namespace blalm::kernels::reference
