// Large blocks of memory that come and go in changing sizes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace ddro {

// Parts of the address space that do not touch.
class AddressRanges {
 public:
  using Address = std::uintptr_t;

  void add(Address begin, Address end);
  void remove(Address begin, Address end);
  size_t bytes_within(Address begin, Address end) const;

 private:
  std::map<Address, Address> end_of_;  // by begin
};

// Hands out blocks of whole pages from address space of its own. A freed block joins its free neighbours and
// keeps its pages for the next one, since the kernel fills each page that it hands out with zeros. But they
// are kept within a bound: where what is free lies in pieces between blocks in use, and none is large enough,
// pages of free blocks go back to the kernel before others take their place, so that all pages together are
// hardly more than the most that was ever in use. Address space is kept. Safe for threads.
class BlockHeap {
 public:
  // Bytes.
  struct Usage {
    size_t in_use = 0;
    size_t most_in_use = 0;  // at one time
    size_t resident = 0;     // with pages, once what is in use has been written to
    size_t mapped = 0;       // of address space
    size_t filled = 0;       // of pages that the kernel has handed out, each time
  };

  BlockHeap() = default;
  ~BlockHeap();
  BlockHeap(const BlockHeap&) = delete;
  BlockHeap& operator=(const BlockHeap&) = delete;

  // Of any content, aligned to 4,096 bytes. Null where there is no more memory.
  void* allocate(size_t bytes);
  void free(void* block);
  // Whether it is the beginning of a block that is in use.
  bool owns(const void* block) const;
  // Pages of free blocks go back to the kernel.
  void give_back();
  Usage usage() const;

 private:
  using Address = AddressRanges::Address;
  struct Extent {
    size_t size = 0;
    bool is_free = false;
  };
  using Extents = std::map<Address, Extent>;

  bool map_more(size_t size);
  void add_free(Address begin, size_t size);
  void take(Extents::iterator extent, size_t size);
  void fill(Address begin, Address end);
  void drop_pages(Address begin, size_t size);
  void keep_bound();

  mutable std::mutex mutex_;
  Extents extents_;                            // of all the address space
  std::set<std::pair<size_t, Address>> free_;  // by size
  AddressRanges bare_;                         // without pages
  std::map<Address, size_t> regions_;          // that were mapped, with their sizes
  Usage usage_;
};

}  // namespace ddro
