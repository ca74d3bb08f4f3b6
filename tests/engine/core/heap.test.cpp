#include "engine/core/heap.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

namespace blalm {
namespace {

constexpr std::size_t kMega = std::size_t{1} << 20;

struct Block {
  std::byte* at;
  std::size_t bytes;
};

Block acquire(Heap& heap, std::size_t bytes, int* grown = nullptr) {
  bool grew = false;
  auto* at = static_cast<std::byte*>(heap.acquire(bytes, grew));
  REQUIRE(at != nullptr);
  if (grown != nullptr) *grown += grew ? 1 : 0;
  return {at, bytes};
}

}  // namespace

TEST_CASE("freed neighbours become one block, in whatever order they are freed") {
  for (const auto& order : {std::vector<int>{0, 1, 2}, {2, 1, 0}, {0, 2, 1}, {1, 0, 2}}) {
    Heap heap;
    std::vector<Block> blocks;
    for (int i = 0; i < 3; ++i) blocks.push_back(acquire(heap, 4 * kMega));
    const Block wall = acquire(heap, kMega);
    for (const int i : order) heap.release(blocks[static_cast<std::size_t>(i)].at, 4 * kMega);
    int grown = 0;
    const Block one = acquire(heap, 12 * kMega, &grown);
    CHECK(grown == 0);
    CHECK(one.at == blocks[0].at);
    CHECK(heap.owns(wall.at));
    CHECK_FALSE(heap.owns(&heap));
  }
}

TEST_CASE("the smallest block that fits is taken, and its rest stays free") {
  Heap heap;
  const Block large = acquire(heap, 10 * kMega), wall = acquire(heap, kMega), small = acquire(heap, 4 * kMega);
  acquire(heap, kMega);
  heap.release(large.at, large.bytes);
  heap.release(small.at, small.bytes);
  CHECK(acquire(heap, 3 * kMega).at == small.at);
  CHECK(acquire(heap, kMega).at == small.at + 3 * kMega);
  CHECK(acquire(heap, 10 * kMega).at == large.at);
  CHECK(wall.at == large.at + 10 * kMega);
}

TEST_CASE("blocks of random sizes never overlap, and a repeated pattern does not grow the heap") {
  Heap heap;
  int grown = 0;
  const auto pattern = [&] {
    std::mt19937 random(7);
    std::vector<Block> live;
    unsigned char mark = 0;
    std::vector<unsigned char> marks;
    for (int i = 0; i < 400; ++i) {
      if (live.size() > 20 || (!live.empty() && random() % 3 == 0)) {
        const std::size_t k = random() % live.size();
        const std::byte expected{marks[k]};
        bool whole = live[k].at[0] == expected && live[k].at[live[k].bytes - 1] == expected;
        whole = whole && live[k].at[live[k].bytes / 2] == expected;
        CHECK(whole);
        heap.release(live[k].at, live[k].bytes);
        std::swap(live[k], live.back());
        std::swap(marks[k], marks.back());
        live.pop_back();
        marks.pop_back();
      } else {
        live.push_back(acquire(heap, 1 + random() % 200000, &grown));
        marks.push_back(++mark);
        std::memset(live.back().at, mark, live.back().bytes);
        CHECK(reinterpret_cast<std::uintptr_t>(live.back().at) % 4096 == 0);
      }
    }
    for (const Block& b : live) heap.release(b.at, b.bytes);
  };
  pattern();
  CHECK(grown > 0);
  grown = 0;
  pattern();
  CHECK(grown == 0);
}

TEST_CASE("trim gives free memory back, and it can be used again") {
  Heap heap;
  const Block a = acquire(heap, 3 * kMega), b = acquire(heap, 3 * kMega);
  std::memset(a.at, 1, a.bytes);
  std::memset(b.at, 2, b.bytes);
  heap.release(a.at, a.bytes);
  CHECK(heap.cached() >= 3 * kMega);
  heap.trim();
  CHECK(heap.cached() == 0);
  CHECK(b.at[5] == std::byte{2});
  const Block again = acquire(heap, 3 * kMega);
  CHECK(again.at == a.at);
  CHECK(again.at[5] == std::byte{0});
}

TEST_CASE("more than there is gives null") {
  Heap heap;
  bool grew = false;
  CHECK(heap.acquire(std::size_t{1} << 60, grew) == nullptr);
  CHECK_FALSE(grew);
  CHECK(heap.acquire(kMega, grew) != nullptr);
}

}  // namespace blalm
