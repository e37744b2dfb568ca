#include "ddro/base/block_heap.h"

#include <sys/mman.h>

#include <algorithm>
#include <iterator>

#include "ddro/base/error.h"

namespace ddro {
namespace {

constexpr size_t kAlignment = 4096;
constexpr size_t kPage =
    size_t{2} << 20;  // the kernel's large pages: few faults, and few entries of a core's table
constexpr size_t kRegion = size_t{64} << 20;
constexpr size_t kMostBytes = size_t{1} << 46;

// Pages beyond the most that was in use: what is free in pieces serves later blocks more often than not.
constexpr size_t kSlack = size_t{32} << 20;
constexpr size_t kSlackShare = 20;

size_t rounded_down(size_t value, size_t unit) { return value / unit * unit; }
size_t rounded_up(size_t value, size_t unit) { return rounded_down(value + unit - 1, unit); }

void* at(AddressRanges::Address address) { return reinterpret_cast<void*>(address); }

}  // namespace

void AddressRanges::add(Address begin, Address end) {
  auto next = end_of_.upper_bound(begin);
  if (next != end_of_.begin() && std::prev(next)->second >= begin) --next;
  while (next != end_of_.end() && next->first <= end) {
    begin = std::min(begin, next->first);
    end = std::max(end, next->second);
    next = end_of_.erase(next);
  }
  end_of_[begin] = end;
}

void AddressRanges::remove(Address begin, Address end) {
  auto next = end_of_.upper_bound(begin);
  if (next != end_of_.begin() && std::prev(next)->second > begin) --next;
  while (next != end_of_.end() && next->first < end) {
    const auto [from, to] = *next;
    next = end_of_.erase(next);
    if (from < begin) end_of_[from] = begin;
    if (to > end) end_of_[end] = to;
  }
}

size_t AddressRanges::bytes_within(Address begin, Address end) const {
  size_t bytes = 0;
  auto next = end_of_.upper_bound(begin);
  if (next != end_of_.begin()) --next;
  for (; next != end_of_.end() && next->first < end; ++next) {
    const Address from = std::max(begin, next->first), to = std::min(end, next->second);
    if (from < to) bytes += to - from;
  }
  return bytes;
}

BlockHeap::~BlockHeap() {
  for (const auto& [begin, size] : regions_) munmap(at(begin), size);
}

void* BlockHeap::allocate(size_t bytes) {
  if (bytes > kMostBytes) return nullptr;
  const size_t size = rounded_up(std::max<size_t>(bytes, 1), kAlignment);
  const std::lock_guard lock(mutex_);
  auto smallest = free_.lower_bound({size, 0});
  if (smallest == free_.end()) {
    if (!map_more(size)) return nullptr;
    smallest = free_.lower_bound({size, 0});
  }
  const Address begin = smallest->second;
  take(extents_.find(begin), size);
  usage_.in_use += size;
  usage_.most_in_use = std::max(usage_.most_in_use, usage_.in_use);
  fill(begin, begin + size);
  return at(begin);
}

void BlockHeap::free(void* block) {
  const std::lock_guard lock(mutex_);
  const auto extent = extents_.find(reinterpret_cast<Address>(block));
  DDRO_CHECK(extent != extents_.end() && !extent->second.is_free, "a block is freed once, where it was made");
  usage_.in_use -= extent->second.size;
  add_free(extent->first, extent->second.size);
}

bool BlockHeap::owns(const void* block) const {
  const auto begin = reinterpret_cast<Address>(block);
  if (begin % kAlignment != 0) return false;  // most that is not, without a look
  const std::lock_guard lock(mutex_);
  const auto extent = extents_.find(begin);
  return extent != extents_.end() && !extent->second.is_free;
}

void BlockHeap::give_back() {
  const std::lock_guard lock(mutex_);
  for (const auto& [size, begin] : free_) drop_pages(begin, size);
}

BlockHeap::Usage BlockHeap::usage() const {
  const std::lock_guard lock(mutex_);
  return usage_;
}

// Below the last region, where the kernel, too, puts what is mapped next: then they are one piece.
bool BlockHeap::map_more(size_t size) {
  const size_t wanted = rounded_up(size, kRegion), with_room = wanted + kPage;
  const Address below = regions_.empty() ? 0 : regions_.begin()->first - with_room;
  void* const mapped = mmap(at(below), with_room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return false;
  // What is not aligned stays without pages.
  const Address begin = rounded_up(reinterpret_cast<Address>(mapped), kPage),
                end = rounded_down(reinterpret_cast<Address>(mapped) + with_room, kPage);
  madvise(at(begin), end - begin, MADV_HUGEPAGE);  // where the kernel has them
  regions_[reinterpret_cast<Address>(mapped)] = with_room;
  usage_.mapped += end - begin;
  bare_.add(begin, end);
  add_free(begin, end - begin);
  return true;
}

void BlockHeap::add_free(Address begin, size_t size) {
  extents_.erase(begin);
  const auto next = extents_.lower_bound(begin);
  if (next != extents_.begin()) {
    const auto before = std::prev(next);
    if (before->second.is_free && before->first + before->second.size == begin) {
      begin = before->first;
      size += before->second.size;
      free_.erase({before->second.size, begin});
      extents_.erase(before);
    }
  }
  if (next != extents_.end() && next->second.is_free && next->first == begin + size) {
    size += next->second.size;
    free_.erase({next->second.size, next->first});
    extents_.erase(next);
  }
  extents_[begin] = {size, /*is_free=*/true};
  free_.emplace(size, begin);
}

void BlockHeap::take(Extents::iterator extent, size_t size) {
  const auto [begin, free] = *extent;
  free_.erase({free.size, begin});
  extent->second = {size, /*is_free=*/false};
  if (free.size == size) return;
  extents_[begin + size] = {free.size - size, /*is_free=*/true};
  free_.emplace(free.size - size, begin + size);
}

// A block is about to be written to.
void BlockHeap::fill(Address begin, Address end) {
  begin = rounded_down(begin, kPage);
  end = rounded_up(end, kPage);
  const size_t bytes = bare_.bytes_within(begin, end);
  if (bytes == 0) return;
  bare_.remove(begin, end);
  usage_.resident += bytes;
  usage_.filled += bytes;
  keep_bound();
}

void BlockHeap::drop_pages(Address begin, size_t size) {
  const Address from = rounded_up(begin, kPage), to = rounded_down(begin + size, kPage);
  if (from >= to) return;
  const size_t bytes = to - from - bare_.bytes_within(from, to);
  if (bytes == 0) return;
  madvise(at(from), to - from, MADV_DONTNEED);
  bare_.add(from, to);
  usage_.resident -= bytes;
}

// From the largest free block on, which takes the fewest calls.
void BlockHeap::keep_bound() {
  const size_t bound = usage_.most_in_use + usage_.most_in_use / kSlackShare + kSlack;
  for (auto each = free_.rbegin(); each != free_.rend() && usage_.resident > bound; ++each)
    drop_pages(each->second, each->first);
}

}  // namespace ddro
