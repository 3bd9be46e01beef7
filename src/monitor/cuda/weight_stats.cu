// One thread block measures one chunk, 4096 elements at a time held in registers, so memory is read once.
// Sums are made in a fixed order (per thread, then the xor tree of a warp, then warp after warp).
#include "monitor/bins.hpp"
#include "monitor/cuda/weight_stats.hpp"
#include "monitor/digest_term.hpp"

namespace weightscope {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32, kPerThread = static_cast<int>(kBlock) / kThreads;

struct Add {
  __device__ double operator()(double a, double b) const { return a + b; }
};
struct Least {
  __device__ double operator()(double a, double b) const { return b < a ? b : a; }
};
struct Most {
  __device__ double operator()(double a, double b) const { return b > a ? b : a; }
};

/// The same value on every thread.
template <class Combine>
__device__ double reduce(double v, Combine combine, double* scratch) {
#pragma unroll
  for (int o = 16; o > 0; o /= 2) v = combine(v, __shfl_xor_sync(~0u, v, o));
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = v;
  __syncthreads();
  v = scratch[0];
  for (int w = 1; w < kWarps; ++w) v = combine(v, scratch[w]);
  __syncthreads();
  return v;
}

/// Statistics of one block. Thread t holds elements t, t + 256, …; `live` marks those that exist and are
/// finite.
__device__ BlockStats block_stats(const float* x, const float* from, unsigned live, unsigned zeros,
                                  double* scratch) {
  BlockStats out{};
  double sum = 0, low = HUGE_VAL, high = -HUGE_VAL;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i)
    if ((live >> i) & 1u) sum += x[i], low = Least{}(low, x[i]), high = Most{}(high, x[i]);
  out.finite = static_cast<std::uint32_t>(reduce(__popc(live), Add{}, scratch));
  out.zeros = static_cast<std::uint32_t>(reduce(zeros, Add{}, scratch));
  sum = reduce(sum, Add{}, scratch);
  out.min = static_cast<float>(reduce(low, Least{}, scratch)) + 0.0f;
  out.max = static_cast<float>(reduce(high, Most{}, scratch)) + 0.0f;
  out.mean = out.finite > 0 ? sum / out.finite : 0;
  double m2 = 0, m3 = 0, m4 = 0, moved = 0, start = 0;
#pragma unroll
  for (int i = 0; i < kPerThread; ++i)
    if ((live >> i) & 1u) {
      const double d = x[i] - out.mean, square = d * d, gone = static_cast<double>(x[i]) - from[i];
      m2 += square, m3 += square * d, m4 += square * square;
      moved += gone * gone, start += static_cast<double>(from[i]) * from[i];
    }
  out.m2 = reduce(m2, Add{}, scratch), out.m3 = reduce(m3, Add{}, scratch);
  out.m4 = reduce(m4, Add{}, scratch);
  out.distance2 = reduce(moved, Add{}, scratch), out.initial2 = reduce(start, Add{}, scratch);
  return out;
}

__global__ void __launch_bounds__(kThreads)
    weight_stats(const DeviceChunk* __restrict__ chunks, BlockStats* __restrict__ blocks,
                 std::uint32_t* __restrict__ slots) {
  __shared__ unsigned counters[kWarps][kSlots];
  __shared__ double scratch[kWarps];
  for (int i = threadIdx.x; i < kWarps * kSlots; i += kThreads) (&counters[0][0])[i] = 0;
  __syncthreads();
  const DeviceChunk chunk = chunks[blockIdx.x];
  unsigned* mine = counters[threadIdx.x / 32];
  for (unsigned at = 0; at < chunk.count; at += kBlock) {
    float x[kPerThread], from[kPerThread];
    unsigned live = 0, zeros = 0;
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      const unsigned e = at + i * kThreads + threadIdx.x;
      x[i] = e < chunk.count ? chunk.x[e] : 0.0f;
      from[i] = e < chunk.count && chunk.initial != nullptr ? chunk.initial[e] : x[i];
    }
#pragma unroll
    for (int i = 0; i < kPerThread; ++i) {
      if (at + i * kThreads + threadIdx.x >= chunk.count) continue;
      const unsigned bits = __float_as_uint(x[i]);
      atomicAdd(&mine[slot_of(bits)], 1u);
      zeros += (bits & 0x7fffffffu) == 0 ? 1u : 0u;
      live |= (bits & 0x7fffffffu) < 0x7f800000u ? 1u << i : 0u;
    }
    BlockStats out = block_stats(x, from, live, zeros, scratch);
    if (chunk.initial == nullptr) out.distance2 = out.initial2 = 0;
    if (threadIdx.x == 0) blocks[chunk.first_block + at / kBlock] = out;
  }
  __syncthreads();
  for (int s = threadIdx.x; s < kSlots; s += kThreads) {
    unsigned sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += counters[w][s];
    slots[static_cast<std::uint64_t>(blockIdx.x) * kSlots + s] = sum;
  }
}

__global__ void __launch_bounds__(kThreads)
    digests(const DeviceChunk* __restrict__ chunks, unsigned long long* __restrict__ sums) {
  const DeviceChunk chunk = chunks[blockIdx.x];
  std::uint64_t sum = 0;
  // A chunk starts at an even element, so a pair never lies in two chunks.
  for (unsigned e = 2 * threadIdx.x; e < chunk.count; e += 2 * kThreads)
    sum += digest_term((chunk.offset + e) / 2, __float_as_uint(chunk.x[e]),
                       e + 1 < chunk.count ? __float_as_uint(chunk.x[e + 1]) : 0u);
#pragma unroll
  for (int o = 16; o > 0; o /= 2) sum += __shfl_xor_sync(~0u, sum, o);
  if (threadIdx.x % 32 == 0) atomicAdd(&sums[chunk.slice], static_cast<unsigned long long>(sum));
}

}  // namespace

int launch_weight_stats(const DeviceChunk* chunks, std::size_t count, BlockStats* blocks,
                        std::uint32_t* slots, void* stream) {
  weight_stats<<<static_cast<unsigned>(count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
      chunks, blocks, slots);
  return cudaGetLastError();
}

int launch_digests(const DeviceChunk* chunks, std::size_t count, unsigned long long* sums, void* stream) {
  digests<<<static_cast<unsigned>(count), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(chunks, sums);
  return cudaGetLastError();
}

}  // namespace weightscope
