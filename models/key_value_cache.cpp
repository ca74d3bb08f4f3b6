#include "blalm/models/key_value_cache.h"

#include <algorithm>

namespace blalm {
namespace {

// Runs of rows [from, from + count) of one [B, R, …] tensor copied to [to, to + count) of another, for each sequence.
void copy_rows(const Tensor& source, std::int64_t from, const Tensor& target, std::int64_t to, std::int64_t count) {
  for (std::int64_t b = 0; b < source.dim(0); ++b)
    target.row(b).rows(to, to + count).copy_from(source.row(b).rows(from, from + count));
}

// Rows [0, count) of each sequence: a view where that is possible.
Tensor first_rows(const Tensor& buffer, std::int64_t count) {
  if (count == buffer.dim(1)) return buffer;
  if (buffer.dim(0) == 1) return buffer.row(0).rows(0, count).reshape(buffer.shape().with(1, count));
  Tensor first = Tensor::empty(buffer.shape().with(1, count), buffer.dtype());
  copy_rows(buffer, 0, first, 0, count);
  return first;
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

  if (length == 1 || grows()) {  // all rows in use are visible, in whatever order they lie
    store(keys, k.value(), position);
    store(values, v.value(), position);
    const std::int64_t used = grows() ? end : std::min(end, keys.dim(1));
    return ops::attention(q, first_rows(keys, used), first_rows(values, used));
  }
  // Several positions at once: what came before, in order, and the new ones after it. Distances inside the window are
  // the true ones, and rows of the memory are the first ones here too.
  const std::vector<std::int64_t> before = rows_before(position);
  const auto extended = [&](const Tensor& buffer, const Tensor& x) {
    const auto past = static_cast<std::int64_t>(before.size());
    Tensor all = Tensor::empty(x.shape().with(1, past + length), x.dtype());
    for (std::int64_t i = 0; i < past; ++i) copy_rows(buffer, before[static_cast<std::size_t>(i)], all, i, 1);
    copy_rows(x, 0, all, past, length);
    return all;
  };
  const Var h = before.empty() ? ops::attention(q, k, v, options())
                               : ops::attention(q, extended(keys, k.value()), extended(values, v.value()), options());
  store(keys, k.value(), position);
  store(values, v.value(), position);
  return h;
}

std::int64_t KeyValueCache::row(std::int64_t position) const {
  return grows() || position < memory_ ? position : memory_ + (position - memory_) % window_;
}

std::vector<std::int64_t> KeyValueCache::rows_before(std::int64_t position) const {
  std::vector<std::int64_t> rows;
  for (std::int64_t s = 0; s < std::min(position, memory_); ++s) rows.push_back(row(s));
  for (std::int64_t s = std::max(memory_, position - window_ + 1); s < position; ++s) rows.push_back(row(s));
  return rows;
}

void KeyValueCache::store(Tensor& buffer, const Tensor& x, std::int64_t position) const {
  const std::int64_t length = x.dim(1), end = position + length;
  if (grows()) {
    if (buffer.dim(1) < end) {
      Tensor larger = Tensor::zeros(buffer.shape().with(1, std::max(end, 2 * buffer.dim(1))), buffer.dtype());
      copy_rows(buffer, 0, larger, 0, position);
      buffer = larger;
    }
    copy_rows(x, 0, buffer, position, length);
    return;
  }
  for (std::int64_t s = position; s < std::min(end, memory_); ++s) copy_rows(x, s - position, buffer, row(s), 1);
  for (std::int64_t s = std::max({position, memory_, end - window_}); s < end; ++s)
    copy_rows(x, s - position, buffer, row(s), 1);
}

}  // namespace blalm
