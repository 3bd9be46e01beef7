#include "ops/cuda/device.cuh"
#include "ops/cuda/kernels.hpp"

namespace weightscope::ops::cuda {
namespace {

constexpr unsigned kThreads = 256, kWarps = kThreads / kWarp;

__global__ void __launch_bounds__(kThreads)
    square_tiles(const float* __restrict__ x, Index n, double* __restrict__ partial) {
  const Index begin = static_cast<Index>(blockIdx.x) * kSquareTile,
              end = begin + kSquareTile < n ? begin + kSquareTile : n;
  double total = 0;
  if (end - begin == kSquareTile && reinterpret_cast<std::uintptr_t>(x) % 16 == 0) {
#pragma unroll
    for (int i = 0; i < static_cast<int>(kSquareTile / (4 * kThreads)); i += 4) {
      float4 v[4];
#pragma unroll
      for (int k = 0; k < 4; ++k)
        v[k] = load4(x + begin + (static_cast<Index>(i + k) * kThreads + threadIdx.x) * 4);
      float four = 0;  // float32 for sixteen squares, double beyond
#pragma unroll
      for (int k = 0; k < 4; ++k) four += sum(v[k] * v[k]);
      total += static_cast<double>(four);
    }
  } else {
    for (Index i = begin + threadIdx.x; i < end; i += kThreads) total += static_cast<double>(x[i]) * x[i];
  }
  total = block_sum<kWarps>(total);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

__global__ void __launch_bounds__(1024)
    add_up(const double* __restrict__ partial, Index n, double* __restrict__ out) {
  double total = 0;
  for (Index i = threadIdx.x; i < n; i += 1024) total += partial[i];
  total = block_sum<32>(total);
  if (threadIdx.x == 0) *out = total;
}

__global__ void prepare(const UpdateInputs* in, const double* loss_sum, const double* squares,
                        UpdateOutcome* out) {
  const double norm = sqrt(*squares), loss = *loss_sum / in->tokens;
  out->norm = norm, out->loss = loss;
  out->scale = in->clip > 0 ? static_cast<float>(fmin(1.0, in->clip / (norm + 1e-6))) : 1.0f;
  out->finite = isfinite(norm) && isfinite(loss) ? 1 : 0;
}

struct Element {
  float w, m, v;
};

__device__ Element updated(float w, float g, float m, float v, const AdamWPointers& p, const UpdateInputs& in,
                           float scale, float keep, float step_size) {
  g *= scale;
  m = p.beta1 * m + (1 - p.beta1) * g;
  v = p.beta2 * v + (1 - p.beta2) * g * g;
  return {w * keep - step_size * m / (sqrtf(v) * in.inverse_root + p.eps), m, v};
}

__global__ void __launch_bounds__(kThreads)
    update(AdamWPointers p, const UpdateTile* __restrict__ tiles, const UpdateInputs* __restrict__ inputs,
           const UpdateOutcome* __restrict__ outcome, double* __restrict__ moved) {
  if (outcome->finite == 0) {
    if (moved != nullptr && threadIdx.x == 0) moved[blockIdx.x] = 0;
    return;
  }
  const UpdateTile tile = tiles[blockIdx.x];
  const UpdateInputs in = *inputs;
  const float scale = outcome->scale, keep = 1 - in.lr * tile.weight_decay,
              step = in.step_size * tile.step_scale;
  float *w = p.w + tile.offset, *m = p.m + (tile.offset - p.first), *v = p.v + (tile.offset - p.first);
  const float* g = p.g + tile.offset;
  bf16* work = p.work == nullptr ? nullptr : p.work + tile.offset;
  double distance = 0;
  const int quads = tile.count / 4;
  for (int q = static_cast<int>(threadIdx.x); q < quads; q += static_cast<int>(kThreads)) {
    const float4 w0 = load4(w + 4 * q), g0 = load4(g + 4 * q), m0 = load4(m + 4 * q), v0 = load4(v + 4 * q);
    const Element a = updated(w0.x, g0.x, m0.x, v0.x, p, in, scale, keep, step),
                  b = updated(w0.y, g0.y, m0.y, v0.y, p, in, scale, keep, step),
                  c = updated(w0.z, g0.z, m0.z, v0.z, p, in, scale, keep, step),
                  d = updated(w0.w, g0.w, m0.w, v0.w, p, in, scale, keep, step);
    const float4 w1{a.w, b.w, c.w, d.w};
    store4(w + 4 * q, w1), store4(m + 4 * q, {a.m, b.m, c.m, d.m}), store4(v + 4 * q, {a.v, b.v, c.v, d.v});
    if (work != nullptr) store4(work + 4 * q, w1);
    const float4 gone = w1 - w0;
    if (moved != nullptr) distance += static_cast<double>(sum(gone * gone));
  }
  for (int i = 4 * quads + static_cast<int>(threadIdx.x); i < tile.count; i += static_cast<int>(kThreads)) {
    const float before = w[i];
    const Element e = updated(before, g[i], m[i], v[i], p, in, scale, keep, step);
    w[i] = e.w, m[i] = e.m, v[i] = e.v;
    if (work != nullptr) work[i] = from_float<bf16>(e.w);
    distance += static_cast<double>(e.w - before) * static_cast<double>(e.w - before);
  }
  if (moved == nullptr) return;
  distance = block_sum<kWarps>(distance);
  if (threadIdx.x == 0) moved[blockIdx.x] = distance;
}

/// One warp a parameter, which goes through the whole list: only steps that measure movement pay for it.
__global__ void tile_sums(const UpdateTile* __restrict__ tiles, const double* __restrict__ moved, Index count,
                          double* __restrict__ sums) {
  double total = 0;
  for (Index i = threadIdx.x; i < count; i += kWarp)
    if (tiles[i].parameter == static_cast<int>(blockIdx.x)) total += moved[i];
  total = warp_sum(total);
  if (threadIdx.x == 0) sums[blockIdx.x] = total;
}

}  // namespace

int sum_of_squares(const float* x, Index n, double* out, double* partial, void* stream) {
  const unsigned tiles = blocks_for(n, kSquareTile);
  if (const int status = device::launch(square_tiles, tiles, kThreads, 0, stream, x, n, partial); status != 0)
    return status;
  return device::launch(add_up, 1, 1024, 0, stream, partial, tiles, out);
}

int prepare_update(const UpdateInputs* in, const double* loss_sum, const double* squares,
                   UpdateOutcome* outcome, void* stream) {
  return device::launch(prepare, 1, 1, 0, stream, in, loss_sum, squares, outcome);
}

int adamw(const AdamWPointers& p, const UpdateTile* tiles, Index count, const UpdateInputs* in,
          const UpdateOutcome* outcome, double* moved, void* stream) {
  return device::launch(update, static_cast<unsigned>(count), kThreads, 0, stream, p, tiles, in, outcome,
                        moved);
}

int sum_tiles(const UpdateTile* tiles, const double* moved, Index count, double* sums, Index parameters,
              void* stream) {
  return device::launch(tile_sums, static_cast<unsigned>(parameters), kWarp, 0, stream, tiles, moved, count,
                        sums);
}

}  // namespace weightscope::ops::cuda
