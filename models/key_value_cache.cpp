#include "blalm/models/key_value_cache.h"

#include <algorithm>

#include "blalm/kernels/attention.h"

namespace blalm {
namespace {

// Runs of rows [from, from + count) of one [B, R, …] tensor copied to [to, to + count) of another, for each sequence.
void copy_rows(const Tensor& source, std::int64_t from, const Tensor& target, std::int64_t to, std::int64_t count) {
  for (std::int64_t b = 0; b < source.dim(0); ++b)
    target.row(b).rows(to, to + count).copy_from(source.row(b).rows(from, from + count));
}

}  // namespace

KeyValueCache::KeyValueCache(Module& owner, std::int64_t heads, std::int64_t key_dim, std::int64_t value_dim,
                             std::int64_t window, std::int64_t memory)
    : window_(window),
      memory_(memory),
      keys_(owner.add_state("keys", {grows() ? 0 : memory + window, heads, key_dim}, false, grows())),
      values_(owner.add_state("values", {grows() ? 0 : memory + window, heads, value_dim}, false, grows())) {}

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
    return ops::attention(q, keys, values, {.window = grows() ? end : std::min(end, keys.dim(1))});
  }
  // Several positions at once: what came before, in order, and the new ones after it. Distances inside the window are
  // the true ones, and rows of the memory are the first ones here too.
  const std::vector<std::int64_t> before = positions_before(position);
  const auto extended = [&](const Tensor& buffer, const Tensor& x) {
    const auto past = static_cast<std::int64_t>(before.size());
    Tensor all = Tensor::empty(x.shape().with(1, past + length), x.dtype());
    for (std::int64_t i = 0; i < past; ++i)
      copy_rows(buffer, row(before[static_cast<std::size_t>(i)], buffer), all, i, 1);
    copy_rows(x, 0, all, past, length);
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
  const std::int64_t from_end = grows() || position < memory_ ? position : memory_ + (position - memory_) % window_;
  return buffer.dim(1) - 1 - from_end;
}

std::vector<std::int64_t> KeyValueCache::positions_before(std::int64_t position) const {
  std::vector<std::int64_t> positions;
  const std::int64_t memory_end = std::min(position, memory_);
  for (std::int64_t s = 0; s < memory_end; ++s) positions.push_back(s);
  for (std::int64_t s = grows() ? 0 : std::max(memory_, position - window_ + 1); s < position; ++s)
    positions.push_back(s);
  return positions;
}

void KeyValueCache::store(Tensor& buffer, const Tensor& x, std::int64_t position) const {
  const std::int64_t end = position + x.dim(1);
  if (grows() && buffer.dim(1) < end) {
    const std::int64_t rows = buffer.dim(1), more = std::max(end, 2 * rows);
    const Tensor larger = Tensor::zeros(buffer.shape().with(1, more), buffer.dtype());
    copy_rows(buffer, rows - position, larger, more - position, position);
    buffer = larger;
  }
  // Of what a window has passed already, nothing is written.
  const std::int64_t kept = grows() ? position : std::max({position, memory_, end - window_});
  for (std::int64_t s = position; s < std::min(end, memory_); ++s)
    copy_rows(x, s - position, buffer, row(s, buffer), 1);
  for (std::int64_t s = kept; s < end; ++s) copy_rows(x, s - position, buffer, row(s, buffer), 1);
}

}  // namespace blalm
