#include "core/philox.hpp"
#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads) drop(T* __restrict__ x, Drop d, Index R, Index C, Index blocks) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= R * blocks) return;
  d = settled(d);
  const Index r = i / blocks, c = i % blocks * 4;
  const auto words =
      Philox(d.key).block(static_cast<std::uint64_t>(c / 4), static_cast<std::uint64_t>(d.first_row + r));
  for (Index k = 0; k < 4 && c + k < C; ++k) {
    T& element = x[r * C + c + k];
    element = words[static_cast<std::size_t>(k)] < d.threshold ? from_float<T>(0)
                                                               : from_float<T>(to_float(element) * d.keep);
  }
}

}  // namespace

template <class T>
int dropout(T* x, const Drop& d, Index R, Index C, void* stream) {
  const Index blocks = (C + 3) / 4;
  return device::launch(drop<T>, blocks_for(R * blocks, kThreads), kThreads, 0, stream, x, d, R, C, blocks);
}

template int dropout(float*, const Drop&, Index, Index, void*);
template int dropout(bf16*, const Drop&, Index, Index, void*);

}  // namespace weightscope::ops::cuda
