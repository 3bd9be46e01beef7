#include "core/philox.hpp"
#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads)
    drop(T* __restrict__ x, std::uint32_t threshold, float keep, Philox stream, Index first_row, Index R,
         Index C, Index blocks) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= R * blocks) return;
  const Index r = i / blocks, c = i % blocks * 4;
  const auto words =
      stream.block(static_cast<std::uint64_t>(c / 4), static_cast<std::uint64_t>(first_row + r));
  for (Index k = 0; k < 4 && c + k < C; ++k) {
    T& element = x[r * C + c + k];
    element = words[static_cast<std::size_t>(k)] < threshold ? from_float<T>(0)
                                                             : from_float<T>(to_float(element) * keep);
  }
}

}  // namespace

template <class T>
int dropout(T* x, double p, std::uint64_t key, Index first_row, Index R, Index C, void* stream) {
  const Index blocks = (C + 3) / 4;
  return device::launch(drop<T>, blocks_for(R * blocks, kThreads), kThreads, 0, stream, x,
                        static_cast<std::uint32_t>(p * 4294967296.0), static_cast<float>(1.0 / (1.0 - p)),
                        Philox(key), first_row, R, C, blocks);
}

template int dropout(float*, double, std::uint64_t, Index, Index, Index, void*);
template int dropout(bf16*, double, std::uint64_t, Index, Index, Index, void*);

}  // namespace weightscope::ops::cuda
