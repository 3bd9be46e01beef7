#include <cuda_bf16.h>

#include "comm/device_sum.hpp"
#include "core/kernel.cuh"

namespace weightscope {
namespace {

using Half = __nv_bfloat16;
constexpr unsigned kThreads = 256, kBlocks = 1024;

__device__ inline float value(float x) { return x; }
__device__ inline float value(Half x) { return __bfloat162float(x); }

/// f(i) for all elements.
template <class F>
__device__ void for_each(std::size_t count, F&& f) {
  const std::size_t stride = static_cast<std::size_t>(gridDim.x) * blockDim.x;
  for (std::size_t i = static_cast<std::size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += stride)
    f(i);
}

/// A binary counter of partial sums: level l holds the sum of 2^l neighbours. The same tree as adding pairs,
/// pairs of pairs and so on, with an odd one out going up as it is.
template <class T>
__global__ void add(const T* __restrict__ parts, unsigned ranks, std::size_t count, float* __restrict__ out) {
  for_each(count, [&](std::size_t i) {
    float partial[32];
    for (unsigned r = 0; r < ranks; ++r) {
      float sum = value(parts[r * count + i]);
      unsigned level = 0;
      for (; (r >> level & 1U) != 0; ++level) sum = partial[level] + sum;
      partial[level] = sum;
    }
    float sum = 0;
    bool any = false;
    for (unsigned level = 0; ranks >> level != 0; ++level)
      if ((ranks >> level & 1U) != 0) sum = any ? partial[level] + sum : partial[level], any = true;
    out[i] = sum;
  });
}

__global__ void narrow(const float* __restrict__ from, Half* __restrict__ to, std::size_t count) {
  for_each(count, [&](std::size_t i) { to[i] = __float2bfloat16_rn(from[i]); });
}
__global__ void widen(const Half* __restrict__ from, float* __restrict__ to, std::size_t count) {
  for_each(count, [&](std::size_t i) { to[i] = __bfloat162float(from[i]); });
}

unsigned blocks_for(std::size_t count) {
  const std::size_t wanted = (count + kThreads - 1) / kThreads;
  return wanted < kBlocks ? static_cast<unsigned>(wanted) : kBlocks;
}

}  // namespace

int add_on_device(const void* parts, bool half, std::size_t ranks, std::size_t count, float* out,
                  void* stream) {
  if (count == 0) return 0;
  const auto n = static_cast<unsigned>(ranks);
  if (half)
    return device::launch(add<Half>, blocks_for(count), kThreads, 0, stream, static_cast<const Half*>(parts),
                          n, count, out);
  return device::launch(add<float>, blocks_for(count), kThreads, 0, stream, static_cast<const float*>(parts),
                        n, count, out);
}

int narrow_on_device(const float* from, void* to, std::size_t count, void* stream) {
  if (count == 0) return 0;
  return device::launch(narrow, blocks_for(count), kThreads, 0, stream, from, static_cast<Half*>(to), count);
}

int widen_on_device(const void* from, float* to, std::size_t count, void* stream) {
  if (count == 0) return 0;
  return device::launch(widen, blocks_for(count), kThreads, 0, stream, static_cast<const Half*>(from), to,
                        count);
}

}  // namespace weightscope
