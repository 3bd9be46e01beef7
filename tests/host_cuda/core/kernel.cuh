#pragma once
// The file of this name in src/core, for kernels that run on the host: compiled as C++, with CUDA's own
// headers for types and conversions. This folder goes before src among the include directories.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "host_cuda/fibers.hpp"
#include "host_cuda/streams.hpp"

using std::isfinite;

#undef __shared__
#define __shared__ static  // blocks run one after the other
#undef __launch_bounds__
#define __launch_bounds__(...)

inline void __syncthreads() { weightscope::host_cuda::block_barrier(); }
inline void __syncwarp() { weightscope::host_cuda::warp_barrier(~0U); }
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int bits) {
  return weightscope::host_cuda::from_lane(mask, v,
                                           weightscope::host_cuda::lane() ^ static_cast<unsigned>(bits));
}
inline unsigned __reduce_add_sync(unsigned mask, unsigned v) {
  for (int bits = 16; bits > 0; bits /= 2) v += __shfl_xor_sync(mask, v, bits);
  return v;
}
template <class T>
T atomicAdd(T* to, T v) {
  const T before = *to;
  *to += v;
  return before;
}
template <class T>
T __ldcs(const T* from) {
  return *from;
}
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }

namespace weightscope::device {

inline std::size_t most_shared = 227 << 10;  ///< tests make it another device's
inline std::size_t most_shared_memory() { return most_shared; }

template <class... P, class... A>
int launch(void (*kernel)(P...), dim3 blocks, dim3 threads, std::size_t shared_bytes, void* stream,
           A&&... arguments) {
  if (shared_bytes > most_shared) return cudaErrorInvalidValue;
  std::tuple<std::remove_cv_t<P>...> copies(std::forward<A>(arguments)...);
  host_cuda::enqueue(stream, [=] {
    host_cuda::run_blocks(blocks, threads, shared_bytes, [&] { std::apply(kernel, copies); });
  });
  return 0;
}

template <class T>
T* shared_memory() {
  return static_cast<T*>(host_cuda::shared_memory());
}

inline float exp2_fast(float x) { return std::exp2(x); }

}  // namespace weightscope::device
