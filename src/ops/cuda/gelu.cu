#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr float kRoot = 0.7978845608028654f;  // sqrt(2/π)
constexpr float kCube = 0.044715f, kHalfRoot = 0.70710678118654752f, kInverseRoot2Pi = 0.3989422804014327f;

__device__ float value(float x, bool erf) {
  if (erf) return 0.5f * x * (1 + erff(x * kHalfRoot));
  return 0.5f * x * (1 + tanhf(kRoot * (x + kCube * x * x * x)));
}

__device__ float slope(float x, bool erf) {
  if (erf) return 0.5f * (1 + erff(x * kHalfRoot)) + x * kInverseRoot2Pi * expf(-0.5f * x * x);
  const float t = tanhf(kRoot * (x + kCube * x * x * x));
  return 0.5f * (1 + t) + 0.5f * x * (1 - t * t) * kRoot * (1 + 3 * kCube * x * x);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    forward(const T* __restrict__ x, T* __restrict__ y, Index n, bool erf) {
  const Index i = (static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x) * 8;
  if (i >= n) return;
  auto v = load8(x + i);
#pragma unroll
  for (int k = 0; k < 8; ++k) v.x[k] = value(v.x[k], erf);
  store8(y + i, v.x);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    backward(const T* __restrict__ x, T* __restrict__ dy, Index n, bool erf) {
  const Index i = (static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x) * 8;
  if (i >= n) return;
  const auto v = load8(x + i);
  auto d = load8(dy + i);
#pragma unroll
  for (int k = 0; k < 8; ++k) d.x[k] *= slope(v.x[k], erf);
  store8(dy + i, d.x);
}

}  // namespace

template <class T>
int gelu(const T* x, T* y, Index n, bool erf, void* stream) {
  return device::launch(forward<T>, blocks_for(n, 8 * kThreads), kThreads, 0, stream, x, y, n, erf);
}

template <class T>
int gelu_backward(const T* x, T* dy, Index n, bool erf, void* stream) {
  return device::launch(backward<T>, blocks_for(n, 8 * kThreads), kThreads, 0, stream, x, dy, n, erf);
}

template int gelu(const float*, float*, Index, bool, void*);
template int gelu(const bf16*, bf16*, Index, bool, void*);
template int gelu_backward(const float*, float*, Index, bool, void*);
template int gelu_backward(const bf16*, bf16*, Index, bool, void*);

}  // namespace weightscope::ops::cuda
