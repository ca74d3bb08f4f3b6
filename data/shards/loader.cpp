#include "data/shards/loader.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "data/streams.h"
#include "engine/core/error.h"
#include "engine/core/rng.h"

namespace blalm {
namespace {

constexpr std::int32_t kNoTarget = -1;
constexpr std::int64_t kMostEpochs = (std::int64_t{1} << 32) - 1;  // a random stream each (streams.h)

void add(LineCounts& sum, const LineCounts& more, std::int64_t times = 1) {
  sum.tokens += more.tokens * times;
  sum.words += more.words * times;
  sum.bytes += more.bytes * times;
}

void check_setting(std::string_view name, std::int64_t value, std::int64_t least, std::int64_t most) {
  if (value < least || value > most)
    throw ConfigError(expected_got(name, fmt::format("{} to {}", least, most), fmt::format("{}", value)));
}

}  // namespace

Loader::Loader(const TokenData& data, const LoaderOptions& options) : data_(&data), options_(options) {
  check_setting("tokens a block", options.block, 2, std::int64_t{1} << 30);
  check_setting("blocks a batch", options.batch, 1, (std::int64_t{1} << 40) / options.block);
  check_setting("epochs", options.epochs, 1, kMostEpochs);
  if (data.tokens() < options.block) {
    throw DataError(expected_got("data", fmt::format("a text of at least one block of {} tokens", options.block),
                                 fmt::format("{} tokens", data.tokens()), "more text or a smaller data.seq"));
  }
  cumulative_ = data.counts_every(options.block);
  begin_epoch();
}

void Loader::begin_epoch() {
  order_.resize(static_cast<std::size_t>(blocks_per_epoch()));
  std::iota(order_.begin(), order_.end(), std::int64_t{0});
  if (!options_.shuffle) return;
  Rng rng(options_.seed, stream_of(RandomUse::shuffle, static_cast<std::uint64_t>(position_.epoch)));
  for (std::size_t left = order_.size(); left > 1; --left) std::swap(order_[left - 1], order_[rng.below(left)]);
}

LineCounts Loader::counts_of(std::int64_t block) const {
  const auto i = static_cast<std::size_t>(block);
  LineCounts counts = cumulative_[i + 1];
  add(counts, cumulative_[i], -1);
  return counts;
}

bool Loader::next(Batch& batch) {
  const std::int64_t left = (options_.epochs - position_.epoch) * blocks_per_epoch() - position_.block;
  const std::int64_t blocks = std::min(options_.batch, left), length = options_.block;
  if (blocks <= 0) return false;
  batch.ids = Tensor::empty({blocks, length}, DType::i32);
  batch.targets = Tensor::empty({blocks, length}, DType::i32);
  batch.counts = {};
  std::int32_t* ids = batch.ids.mutable_data<std::int32_t>();
  std::int32_t* targets = batch.targets.mutable_data<std::int32_t>();
  for (std::int64_t b = 0; b < blocks; ++b, ids += length, targets += length) {
    const std::int64_t block = order_[static_cast<std::size_t>(position_.block)];
    data_->read(block * length, {ids, static_cast<std::size_t>(length)});
    std::copy(ids + 1, ids + length, targets);
    targets[length - 1] = kNoTarget;
    add(batch.counts, counts_of(block));
    if (++position_.block == blocks_per_epoch()) {
      position_ = {position_.epoch + 1, 0};
      begin_epoch();
    }
  }
  add(seen_, batch.counts);
  return true;
}

void Loader::seek(LoaderPosition position) {
  const bool at_end = position == LoaderPosition{options_.epochs, 0};
  const bool inside = position.epoch >= 0 && position.epoch < options_.epochs && position.block >= 0 &&
                      position.block < blocks_per_epoch();
  if (!at_end && !inside) {
    throw DataError(expected_got(
        "data", fmt::format("a position in {} epochs of {} blocks", options_.epochs, blocks_per_epoch()),
        fmt::format("epoch {}, block {}", position.epoch, position.block), "it was saved with other data or settings"));
  }
  position_ = position;
  begin_epoch();
  seen_ = {};
  add(seen_, counts_per_epoch(), position.epoch);
  for (std::int64_t i = 0; i < position.block; ++i) add(seen_, counts_of(order_[static_cast<std::size_t>(i)]));
}

std::uint64_t Loader::identity() const {
  // Not the batch size or the number of epochs: the order of the blocks does not depend on them.
  const std::array<std::uint64_t, 5> parts{data_->checksum(), static_cast<std::uint64_t>(data_->tokens()),
                                           static_cast<std::uint64_t>(options_.block), options_.seed,
                                           options_.shuffle ? std::uint64_t{1} : std::uint64_t{0}};
  return XXH3_64bits(parts.data(), sizeof(parts));
}

}  // namespace blalm
