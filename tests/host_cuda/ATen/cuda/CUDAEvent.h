#pragma once
// LibTorch's event, where all work is done at once.

namespace at::cuda {

struct CUDAEvent {
  void record() {}
  void synchronize() const {}
};

}  // namespace at::cuda
