#pragma once
// What the kernels of this folder share: vectors of four and eight elements, sums over a warp and a block.
#include <cuda_bf16.h>

#include <cstdint>

#include "core/kernel.cuh"

namespace weightscope::ops::cuda {

using bf16 = __nv_bfloat16;
constexpr unsigned kWarp = 32, kAllLanes = ~0u;

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(bf16 x) { return __bfloat162float(x); }
template <class T>
__device__ T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline bf16 from_float<bf16>(float x) {
  return __float2bfloat16_rn(x);
}

__device__ inline float4 load4(const float* p) { return *reinterpret_cast<const float4*>(p); }
__device__ inline float4 load4(const bf16* p) {
  const uint2 raw = *reinterpret_cast<const uint2*>(p);
  const float2 a = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(raw.x)),
               b = __bfloat1622float2(reinterpret_cast<const __nv_bfloat162&>(raw.y));
  return {a.x, a.y, b.x, b.y};
}
__device__ inline void store4(float* p, float4 x) { *reinterpret_cast<float4*>(p) = x; }
__device__ inline void store4(bf16* p, float4 x) {
  uint2 raw;
  reinterpret_cast<__nv_bfloat162&>(raw.x) = __floats2bfloat162_rn(x.x, x.y);
  reinterpret_cast<__nv_bfloat162&>(raw.y) = __floats2bfloat162_rn(x.z, x.w);
  *reinterpret_cast<uint2*>(p) = raw;
}

/// Eight elements in registers as they lie in memory: one access of 16 bytes for bf16, two for float.
template <class T>
struct Eight {
  float x[8];
};
__device__ inline Eight<float> load8(const float* p) {
  const float4 a = load4(p), b = load4(p + 4);
  return {{a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w}};
}
__device__ inline Eight<bf16> load8(const bf16* p) {
  const uint4 raw = *reinterpret_cast<const uint4*>(p);
  const auto* pair = reinterpret_cast<const __nv_bfloat162*>(&raw);
  Eight<bf16> e;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 two = __bfloat1622float2(pair[i]);
    e.x[2 * i] = two.x, e.x[2 * i + 1] = two.y;
  }
  return e;
}
__device__ inline void store8(float* p, const float (&x)[8]) {
  store4(p, {x[0], x[1], x[2], x[3]}), store4(p + 4, {x[4], x[5], x[6], x[7]});
}
__device__ inline void store8(bf16* p, const float (&x)[8]) {
  uint4 raw;
  auto* pair = reinterpret_cast<__nv_bfloat162*>(&raw);
#pragma unroll
  for (int i = 0; i < 4; ++i) pair[i] = __floats2bfloat162_rn(x[2 * i], x[2 * i + 1]);
  *reinterpret_cast<uint4*>(p) = raw;
}

__device__ inline float4 operator+(float4 a, float4 b) {
  return {a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w};
}
__device__ inline float4 operator-(float4 a, float4 b) {
  return {a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w};
}
__device__ inline float4 operator*(float4 a, float4 b) {
  return {a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w};
}
__device__ inline float4 operator*(float4 a, float s) { return {a.x * s, a.y * s, a.z * s, a.w * s}; }
__device__ inline float sum(float4 a) { return (a.x + a.y) + (a.z + a.w); }
__device__ inline float4 splat(float s) { return {s, s, s, s}; }

/// The same value on every lane, in a fixed order.
template <class T>
__device__ T warp_sum(T v) {
#pragma unroll
  for (int o = kWarp / 2; o > 0; o /= 2) v += __shfl_xor_sync(kAllLanes, v, o);
  return v;
}
__device__ inline float warp_max(float v) {
#pragma unroll
  for (int o = kWarp / 2; o > 0; o /= 2) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, o));
  return v;
}
/// The sum over a block of `Warps` warps, the same on every thread and in a fixed order.
template <unsigned Warps, class T>
__device__ T block_sum(T v) {
  __shared__ T scratch[Warps];
  v = warp_sum(v);
  if (threadIdx.x % kWarp == 0) scratch[threadIdx.x / kWarp] = v;
  __syncthreads();
  T total{};
#pragma unroll
  for (unsigned w = 0; w < Warps; ++w) total += scratch[w];
  __syncthreads();
  return total;
}

constexpr unsigned blocks_for(std::int64_t items, std::int64_t per_block) {
  return static_cast<unsigned>((items + per_block - 1) / per_block);
}

}  // namespace weightscope::ops::cuda
