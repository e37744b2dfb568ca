#include "ddro/base/block_heap.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>
#include <thread>
#include <vector>

namespace ddro {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

size_t resident_bytes() {
  size_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// A block that knows what was written to it.
struct Written {
  Written(BlockHeap& heap, size_t bytes, unsigned char value)
      : begin(static_cast<unsigned char*>(heap.allocate(bytes))), size(bytes), content(value) {
    std::memset(begin, value, bytes);
  }
  bool is_whole() const {
    for (size_t i = 0; i < size; ++i)
      if (begin[i] != content) return false;
    return true;
  }

  unsigned char* begin;
  size_t size;
  unsigned char content;
};

TEST(AddressRanges, AreJoinedAndCut) {
  AddressRanges ranges;
  ranges.add(10, 20);
  ranges.add(30, 40);
  EXPECT_EQ(ranges.bytes_within(0, 100), 20u);
  ranges.add(20, 30);
  EXPECT_EQ(ranges.bytes_within(15, 35), 20u);
  ranges.remove(12, 14);
  ranges.remove(38, 60);
  EXPECT_EQ(ranges.bytes_within(0, 100), 26u);
  EXPECT_EQ(ranges.bytes_within(12, 14), 0u);
  ranges.add(5, 50);
  EXPECT_EQ(ranges.bytes_within(0, 100), 45u);
  ranges.remove(0, 100);
  EXPECT_EQ(ranges.bytes_within(0, 100), 0u);
}

TEST(BlockHeap, BlocksKeepTheirContent) {
  BlockHeap heap;
  std::mt19937 random(1);
  std::vector<Written> live;
  for (int i = 0; i < 2000; ++i) {
    if (live.size() > 20 || (!live.empty() && random() % 3 == 0)) {
      const size_t place = random() % live.size();
      ASSERT_TRUE(live[place].is_whole());
      heap.free(live[place].begin);
      live[place] = live.back();
      live.pop_back();
    } else {
      live.emplace_back(heap, 1 + random() % (256 << 10), static_cast<unsigned char>(random()));
    }
  }
  for (const Written& block : live) {
    EXPECT_TRUE(block.is_whole());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block.begin) % 4096, 0u);
    heap.free(block.begin);
  }
  EXPECT_EQ(heap.usage().in_use, 0u);
}

TEST(BlockHeap, FreedBlocksAreTakenAgainWithTheirPages) {
  BlockHeap heap;
  void* const first = heap.allocate(8 * kMiB);
  std::memset(first, 7, 8 * kMiB);
  const size_t filled = heap.usage().filled;
  for (int i = 0; i < 10; ++i) {
    heap.free(first);
    EXPECT_EQ(heap.allocate(8 * kMiB - static_cast<size_t>(i)), first);
  }
  EXPECT_EQ(heap.usage().filled, filled);
  EXPECT_EQ(static_cast<unsigned char*>(first)[kMiB], 7);
}

TEST(BlockHeap, FreeNeighboursAreOneBlock) {
  BlockHeap heap;
  std::vector<void*> blocks;
  for (int i = 0; i < 6; ++i) blocks.push_back(heap.allocate(4 * kMiB));
  for (const size_t i : {1, 3, 2}) heap.free(blocks[i]);
  const size_t mapped = heap.usage().mapped;
  EXPECT_EQ(heap.allocate(12 * kMiB), std::min({blocks[1], blocks[3]}));
  EXPECT_EQ(heap.usage().mapped, mapped);
}

// Free blocks between blocks in use, each too small for what is asked for next.
TEST(BlockHeap, WhatIsCutUpGoesBackToTheKernel) {
  BlockHeap heap;
  constexpr size_t kBlock = 4 * kMiB, kCount = 40;
  const size_t before = resident_bytes();
  std::vector<Written> small, large;
  for (size_t i = 0; i < kCount; ++i) small.emplace_back(heap, kBlock, 1);
  for (size_t i = 0; i < kCount; i += 2) heap.free(small[i].begin);
  for (size_t i = 0; i < kCount / 4; ++i) large.emplace_back(heap, 2 * kBlock, 2);
  const size_t most = kCount * kBlock, bound = most + most / 20 + 32 * kMiB;
  EXPECT_EQ(heap.usage().most_in_use, most);
  EXPECT_EQ(heap.usage().in_use, most);
  EXPECT_LE(heap.usage().resident, bound);
  EXPECT_GT(heap.usage().mapped, most + most / 4);
  EXPECT_LT(resident_bytes() - before, bound + 8 * kMiB);
  for (size_t i = 1; i < kCount; i += 2) EXPECT_TRUE(small[i].is_whole());
  for (const Written& block : large) EXPECT_TRUE(block.is_whole());
}

TEST(BlockHeap, GivesBackWhatIsFree) {
  BlockHeap heap;
  const Written kept(heap, 8 * kMiB, 3), freed(heap, 200 * kMiB, 4);
  const size_t before = resident_bytes();
  heap.free(freed.begin);
  EXPECT_GT(resident_bytes() + kMiB, before);
  heap.give_back();
  EXPECT_LT(resident_bytes() + 190 * kMiB, before);
  EXPECT_LT(heap.usage().resident, 16 * kMiB);
  EXPECT_TRUE(kept.is_whole());
  const Written again(heap, 200 * kMiB, 5);
  EXPECT_EQ(again.begin, freed.begin);
  EXPECT_TRUE(again.is_whole());
}

TEST(BlockHeap, SaysThatThereIsNoMemory) {
  BlockHeap heap;
  EXPECT_EQ(heap.allocate((size_t{1} << 46) + 1), nullptr);
  EXPECT_EQ(heap.allocate(~size_t{0}), nullptr);
  EXPECT_EQ(heap.usage().in_use, 0u);
  EXPECT_NE(heap.allocate(0), nullptr);
}

TEST(BlockHeap, ThreadsShareIt) {
  BlockHeap heap;
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&heap, thread] {
      std::mt19937 random(thread);
      for (int i = 0; i < 300; ++i) {
        const Written block(heap, 1 + random() % (512 << 10), static_cast<unsigned char>(thread));
        EXPECT_TRUE(block.is_whole());
        heap.free(block.begin);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(heap.usage().in_use, 0u);
}

}  // namespace
}  // namespace ddro
