#pragma once
// The file of this name in src/ops/cuda, without libraries of the device: tensors are in host memory, and
// everything runs on the null stream, at once.
#include <ATen/ATen.h>

namespace weightscope::ops::cuda {

class Workbench {
 public:
  static Workbench& of(const at::Tensor&) {
    static Workbench bench;
    return bench;
  }
  /// Anew and of the exact size, so that AddressSanitizer sees what goes beyond it.
  void* scratch(std::size_t bytes) {
    block_ = at::full({static_cast<std::int64_t>(bytes)}, 0xff, at::kByte);
    return block_.data_ptr();
  }

 private:
  at::Tensor block_;
};

inline void* stream_of(const at::Tensor&) { return nullptr; }
inline at::Tensor pinned(std::size_t bytes) {
  return at::zeros({static_cast<std::int64_t>(bytes)}, at::kByte);
}

template <class T>
T* data(const at::Tensor& t) {
  return t.defined() ? static_cast<T*>(t.data_ptr()) : nullptr;
}

}  // namespace weightscope::ops::cuda
