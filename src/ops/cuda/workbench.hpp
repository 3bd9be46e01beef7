#pragma once
// What calls on one GPU share: library handles and scratch memory. Private to ops/cuda.
#include <ATen/core/Tensor.h>

#include <vector>

#include "ops/cuda/cudnn_attention.hpp"
#include "ops/cuda/matmul.hpp"

namespace weightscope::ops::cuda {

class Workbench {
 public:
  /// Of the device of `t`; lives as long as the process, as LibTorch's own handles do.
  static Workbench& of(const at::Tensor& t);
  /// Choices of benches that are made from now on (ops::repeat_exactly).
  static void choose(Choice choice);

  Multiplier multiplier;
  CudnnAttention attention;
  int capability = 0;  ///< 90 for compute capability 9.0

  /// At least `bytes`, used by one call at a time on one stream. Never freed or moved once handed out: a
  /// captured graph may name it.
  void* scratch(std::size_t bytes);

 private:
  explicit Workbench(c10::Device device);
  c10::Device device_;
  std::vector<at::Tensor> blocks_;  ///< the last is the largest
};

void* stream_of(const at::Tensor& t);
at::Tensor pinned(std::size_t bytes);  ///< zeros in host memory that the device reads and writes

template <class T>
T* data(const at::Tensor& t) {
  return t.defined() ? static_cast<T*>(t.data_ptr()) : nullptr;
}

}  // namespace weightscope::ops::cuda
