#include "engine/kernels/short_conv.h"

#include <algorithm>

#include "engine/core/parallel.h"
#include "engine/kernels/partial_sums.h"
#include "engine/kernels/reference/backend.h"
#include "engine/kernels/vector_math.h"

namespace blalm::kernels::reference {
namespace {

// Work is cut into blocks of positions, the same for any number of threads (the weight's gradient is summed a block),
// and inside them into strips of channels that stay in the first-level cache.
constexpr std::int64_t kSteps = 128, kChannels = 128;

struct Sizes {
  std::int64_t batch, steps, channels, kernel, blocks;  // `blocks` of positions in one sequence

  Sizes(const Tensor& x, const Tensor& taps)
      : batch(x.dim(0)),
        steps(x.dim(1)),
        channels(x.dim(2)),
        kernel(taps.dim(0)),
        blocks((steps + kSteps - 1) / kSteps) {}
  double cost() const { return static_cast<double>(kSteps * channels * (kernel + 6)); }  // of a block
};

// A strip of one block: positions [first, last) of a sequence, channels [channel, channel + width).
struct Strip {
  std::int64_t first, last, channel, width;
};

// z at position t of the sequence x.
template <class T, class C>
void convolve(const Sizes& s, const Strip& strip, const T* x, const C* taps, std::int64_t t, C* z) {
  const T* in = x + (t - (s.kernel - 1)) * s.channels + strip.channel;
  const C* w = taps + strip.channel;
  const std::int64_t before = std::max<std::int64_t>(0, s.kernel - 1 - t), step = s.channels;  // no inputs there
  if constexpr (vec::kHasLanes<C>) {
    vec::write(z, strip.width, [=, end = s.kernel](auto c) {
      auto sum = vec::at(w + before * step, c) * vec::at(in + before * step, c);
      for (std::int64_t j = before + 1; j < end; ++j) sum = sum + vec::at(w + j * step, c) * vec::at(in + j * step, c);
      return sum;
    });
  } else {
    std::fill_n(z, strip.width, C(0));
    for (std::int64_t j = before; j < s.kernel; ++j)
      for (std::int64_t c = 0; c < strip.width; ++c) z[c] += w[j * step + c] * static_cast<C>(in[j * step + c]);
  }
}

// dx at position t, from dz of the strip's block and the positions after it, as far as `beyond`.
template <class T, class C>
void spread(const Sizes& s, const Strip& strip, const C* dz, std::int64_t beyond, const C* taps, std::int64_t t,
            T* dx) {
  const std::int64_t last = std::max<std::int64_t>(0, s.kernel - (beyond - t));  // the tap of the furthest position
  const C *g = dz + (t + s.kernel - 1 - strip.first) * kChannels, *w = taps + strip.channel;
  if constexpr (vec::kHasLanes<C>) {
    vec::write(dx, strip.width, [=, end = s.kernel, step = s.channels](auto c) {
      auto sum = vec::at(w + last * step, c) * vec::at(g - last * kChannels, c);
      for (std::int64_t j = last + 1; j < end; ++j)
        sum = sum + vec::at(w + j * step, c) * vec::at(g - j * kChannels, c);
      return sum;
    });
  } else {
    C sum[kChannels];
    std::fill_n(sum, strip.width, C(0));
    for (std::int64_t j = last; j < s.kernel; ++j)
      for (std::int64_t c = 0; c < strip.width; ++c) sum[c] += w[j * s.channels + c] * g[c - j * kChannels];
    vec::write(dx, strip.width, [&sum](std::int64_t c) { return sum[c]; });
  }
}

// What a block adds to the gradient of the tap that sees the position `lag` before its own.
template <class T, class C>
void correlate(const Sizes& s, const Strip& strip, const C* dz, const T* x, std::int64_t lag, C* sum) {
  const std::int64_t first = std::max(strip.first, lag);
  if (first >= strip.last) return;
  const C* g = dz + (first - strip.first) * kChannels;
  const T* in = x + (first - lag) * s.channels + strip.channel;
  sum += strip.channel;
  if constexpr (vec::kHasLanes<C>) {
    vec::write(sum, strip.width, [=, count = strip.last - first, step = s.channels](auto c) {
      auto even = vec::at(g, c) * vec::at(in, c);
      decltype(even) odd(0.0F);  // a second sum: additions wait for each other
      std::int64_t t = 1;
      for (; t + 1 < count; t += 2) {
        odd = odd + vec::at(g + t * kChannels, c) * vec::at(in + t * step, c);
        even = even + vec::at(g + (t + 1) * kChannels, c) * vec::at(in + (t + 1) * step, c);
      }
      if (t < count) odd = odd + vec::at(g + t * kChannels, c) * vec::at(in + t * step, c);
      return even + odd;
    });
  } else {
    for (std::int64_t t = 0; t < strip.last - first; ++t)
      for (std::int64_t c = 0; c < strip.width; ++c)
        sum[c] += g[t * kChannels + c] * static_cast<C>(in[t * s.channels + c]);
  }
}

// run(stream, sequence, block, strip) for all strips of all streams, which have Sizes as `s`; threads share the blocks.
template <class Streams, class MakeRun>
void for_strips(const Streams& streams, double passes, MakeRun&& make_run) {
  const Sizes& all = streams.front().s;  // batch, steps and blocks are those of all
  double cost = 0;
  for (const auto& stream : streams) cost += passes * stream.s.cost();
  parallel_for(all.batch * all.blocks, cost, [&](std::int64_t begin, std::int64_t end) {
    auto run = make_run();  // a thread's scratch
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t first = block % all.blocks * kSteps, last = std::min(all.steps, first + kSteps);
      for (const auto& stream : streams)
        for (std::int64_t c = 0; c < stream.s.channels; c += kChannels)
          run(stream, block / all.blocks, block, Strip{first, last, c, std::min(kChannels, stream.s.channels - c)});
    }
  });
}

template <class T>
struct Stream {
  using C = Compute<T>;

  Sizes s;
  const T* x;
  const C* taps;
  T* y;

  explicit Stream(const ShortConvArgs::Stream& a)
      : s(a.x, a.taps), x(a.x.data<T>()), taps(a.taps.data<C>()), y(a.y.mutable_data<T>()) {}
};

template <class T>
struct BackwardStream {
  using C = Compute<T>;

  Sizes s;
  const T *x, *dy;
  const C* taps;
  T* dx = nullptr;        // where wanted
  PartialSums<C> sums{};  // [K, C], of the taps' gradient, where wanted; a block is a part
  C* dtaps = nullptr;

  explicit BackwardStream(const ShortConvBackwardArgs::Stream& a)
      : s(a.x, a.taps), x(a.x.data<T>()), dy(a.dy.data<T>()), taps(a.taps.data<C>()) {
    if (a.dx.defined()) dx = a.dx.mutable_data<T>();
    if (!a.dtaps.defined()) return;
    sums = {s.batch * s.blocks, s.kernel * s.channels};
    dtaps = a.dtaps.mutable_data<C>();
  }
};

}  // namespace

void short_conv(const ShortConvArgs& a) {
  visit_floating(a.streams.front().x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const std::vector<Stream<T>> streams(a.streams.begin(), a.streams.end());
    for_strips(streams, 1, [&] {
      return [&](const Stream<T>& stream, std::int64_t sequence, std::int64_t, const Strip& strip) {
        C z[kChannels];
        const Sizes& s = stream.s;
        const std::int64_t start = sequence * s.steps * s.channels;
        for (std::int64_t t = strip.first; t < strip.last; ++t) {
          convolve(s, strip, stream.x + start, stream.taps, t, z);
          T* out = stream.y + start + t * s.channels + strip.channel;
          if (a.silu)
            vec::write(out, strip.width, [z = &z[0]](auto c) { return vec::at(z, c) * vec::logistic(vec::at(z, c)); });
          else
            vec::write(out, strip.width, [&z](std::int64_t c) { return z[c]; });
        }
      };
    });
  });
}

void short_conv_backward(const ShortConvBackwardArgs& a) {
  visit_floating(a.streams.front().x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = Compute<T>;
    const std::vector<BackwardStream<T>> streams(a.streams.begin(), a.streams.end());
    std::int64_t longest = 0;
    for (const auto& stream : streams) longest = std::max(longest, stream.s.kernel);
    for_strips(streams, 3, [&] {
      // dz of the block, and of the K-1 positions after it, which its inputs reach.
      const Tensor scratch = Tensor::empty({kSteps + longest - 1, kChannels}, dtype_of<C>);
      return [&, scratch, dz = scratch.template mutable_data<C>()](
                 const BackwardStream<T>& stream, std::int64_t sequence, std::int64_t block, const Strip& strip) {
        const Sizes& s = stream.s;
        const std::int64_t start = sequence * s.steps * s.channels;
        const std::int64_t beyond = std::min(s.steps, strip.last + (stream.dx != nullptr ? s.kernel - 1 : 0));
        for (std::int64_t t = strip.first; t < beyond; ++t) {
          C* g = dz + (t - strip.first) * kChannels;
          const T* in = stream.dy + start + t * s.channels + strip.channel;
          if (a.silu) {
            C z[kChannels];
            convolve(s, strip, stream.x + start, stream.taps, t, z);
            vec::write(g, strip.width, [in, z = &z[0]](auto c) {
              const auto at = vec::at(z, c), p = vec::logistic(at);
              const decltype(at) one(1);
              return vec::at(in, c) * (p * (one + at * (one - p)));
            });
          } else {
            for (std::int64_t c = 0; c < strip.width; ++c) g[c] = static_cast<C>(in[c]);
          }
        }
        if (stream.dx != nullptr)
          for (std::int64_t t = strip.first; t < strip.last; ++t)
            spread(s, strip, dz, beyond, stream.taps, t, stream.dx + start + t * s.channels + strip.channel);
        if (C* taps = stream.sums.of(block); taps != nullptr)
          for (std::int64_t j = 0; j < s.kernel; ++j)
            correlate(s, strip, dz, stream.x + start, s.kernel - 1 - j, taps + j * s.channels);
      };
    });
    for (const auto& stream : streams)
      if (stream.sums) stream.sums.write(stream.dtaps);
  });
}

}  // namespace blalm::kernels::reference
