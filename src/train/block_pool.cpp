#include "train/block_pool.h"

#include <ATen/ATen.h>

namespace ddro::train {
namespace {

at::DataPtr taken_from(const Tensor& tensor) {
  c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
  storage->set_nbytes(0);
  return storage->set_data_ptr(at::DataPtr(nullptr, tensor.device()));
}

}  // namespace

void BlockPool::give(const Tensor& tensor) {
  c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
  const size_t bytes = tensor.nbytes();
  std::vector<at::DataPtr>& kept = kept_[bytes];
  if (kept.empty()) {
    storage->set_data_ptr_noswap(storage->allocator()->allocate(bytes));
  } else {
    storage->set_data_ptr_noswap(std::move(kept.back()));
    kept.pop_back();
  }
  storage->set_nbytes(bytes);
}

void BlockPool::take(const Tensor& tensor) {
  at::DataPtr block = taken_from(tensor);
  if (tensor.is_cpu()) kept_[tensor.nbytes()].push_back(std::move(block));
}

void BlockPool::free(const Tensor& tensor) { taken_from(tensor); }

}  // namespace ddro::train
