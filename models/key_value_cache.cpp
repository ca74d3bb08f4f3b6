#include "models/key_value_cache.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>

#include "engine/kernels/attention.h"

namespace blalm {
namespace {

struct Move {
  std::int64_t from, to;
};

// Copies rows of one [B, R, …] tensor to rows of another, for each sequence. By pointers: a handle a row would cost
// more than the row.
void copy_rows(const Tensor& source, const Tensor& target, const std::vector<Move>& moves) {
  if (moves.empty()) return;
  const std::int64_t width = source.bytes() / (source.dim(0) * source.dim(1));
  const auto* from = static_cast<const std::byte*>(source.raw());
  auto* to = static_cast<std::byte*>(target.mutable_raw());
  for (std::int64_t b = 0; b < source.dim(0); ++b)
    for (const Move& m : moves)
      std::memcpy(to + (b * target.dim(1) + m.to) * width, from + (b * source.dim(1) + m.from) * width,
                  static_cast<std::size_t>(width));
}

}  // namespace

KeyValueCache::KeyValueCache(Module& owner, std::int64_t heads, std::int64_t key_dim, std::int64_t value_dim,
                             std::int64_t window, std::int64_t memory)
    : window_(window),
      memory_(memory),
      keys_(owner.add_state("keys", {most_rows(), heads, key_dim}, false, true)),
      values_(owner.add_state("values", {most_rows(), heads, value_dim}, false, true)) {}

Var KeyValueCache::attend(Pass& pass, const Var& q, const Var& k, const Var& v) const {
  if (!pass.decoding()) return ops::attention(q, k, v, options());
  Tensor &keys = pass.slot(keys_), &values = pass.slot(values_);
  const std::int64_t position = pass.position(), length = q.dim(1), end = position + length;

  if (position == 0) {  // nothing came before
    store(keys, k.value(), position);
    store(values, v.value(), position);
    return ops::attention(q, k, v, options());
  }
  if (length == 1) {  // all rows in use are visible, in whatever order they lie; they are the last ones
    store(keys, k.value(), position);
    store(values, v.value(), position);
    return ops::attention(q, keys, values, {.window = window_ == 0 ? end : std::min(end, most_rows())});
  }
  // Several positions at once: what came before, in order, and the new ones after it. Distances inside the window are
  // the true ones, and rows of the memory are the first ones here too.
  const std::vector<std::int64_t> before = positions_before(position);
  const auto past = static_cast<std::int64_t>(before.size());
  const auto extended = [&](const Tensor& buffer, const Tensor& x) {
    std::vector<Move> old, fresh;
    for (const std::int64_t s : before) old.push_back({row(s, buffer), std::ssize(old)});
    for (std::int64_t i = 0; i < length; ++i) fresh.push_back({i, past + i});
    const Tensor all = Tensor::empty(x.shape().with(1, past + length), x.dtype());
    copy_rows(buffer, all, old);
    copy_rows(x, all, fresh);
    return all;
  };
  const Var h = ops::attention(q, extended(keys, k.value()), extended(values, v.value()), options());
  store(keys, k.value(), position);
  store(values, v.value(), position);
  return h;
}

double KeyValueCache::mean_visible(std::int64_t length) const {
  return static_cast<double>(kernels::visible_pairs({window_, memory_}, 0, length)) / static_cast<double>(length);
}

std::int64_t KeyValueCache::row(std::int64_t position, const Tensor& buffer) const {
  const std::int64_t from_end =
      window_ == 0 || position < memory_ ? position : memory_ + (position - memory_) % window_;
  return buffer.dim(1) - 1 - from_end;
}

std::vector<std::int64_t> KeyValueCache::positions_before(std::int64_t position) const {
  std::vector<std::int64_t> positions;
  const std::int64_t memory_end = std::min(position, memory_);
  for (std::int64_t s = 0; s < memory_end; ++s) positions.push_back(s);
  for (std::int64_t s = window_ == 0 ? 0 : std::max(memory_, position - window_ + 1); s < position; ++s)
    positions.push_back(s);
  return positions;
}

void KeyValueCache::store(Tensor& buffer, const Tensor& x, std::int64_t position) const {
  const std::int64_t end = position + x.dim(1);
  std::vector<Move> moves;
  const std::int64_t most = window_ == 0 ? end : most_rows();
  if (const std::int64_t needed = std::min(end, most); buffer.dim(1) < needed) {
    std::int64_t rows = std::max(needed, 2 * buffer.dim(1));
    if (window_ > 0) rows = std::min(rows, most);
    const Tensor larger = Tensor::zeros(buffer.shape().with(1, rows), buffer.dtype());
    for (std::int64_t s = 0; s < position; ++s) moves.push_back({row(s, buffer), row(s, larger)});  // none passed yet
    copy_rows(buffer, larger, moves);
    moves.clear();
    buffer = larger;
  }
  // Of what a window has passed already, nothing is written.
  const std::int64_t kept = window_ == 0 ? position : std::max({position, memory_, end - window_});
  for (std::int64_t s = position; s < std::min(end, memory_); ++s) moves.push_back({s - position, row(s, buffer)});
  for (std::int64_t s = kept; s < end; ++s) moves.push_back({s - position, row(s, buffer)});
  copy_rows(x, buffer, moves);
}

}  // namespace blalm
