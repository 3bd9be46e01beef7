#include "monitor/measure.hpp"

#include <omp.h>

#include <algorithm>
#include <array>

#include "core/error.hpp"
#include "monitor/blocks.hpp"
#include "monitor/cpu/block_kernel.hpp"
#include "monitor/device_meter.hpp"

namespace weightscope {
namespace {

void count_chunk(const BlockKernel& kernel, const WeightSlice& slice, const Chunk& chunk, BlockStats* blocks,
                 std::uint32_t* slots) {
  alignas(64) std::array<std::uint32_t, std::size_t{kCounterCopies} * kCounterStride> counters{};
  const auto* x = static_cast<const float*>(slice.weights.data) + chunk.offset;
  const float* initial = slice.initial == nullptr ? nullptr : slice.initial + chunk.offset;
  for (std::size_t at = 0; at < chunk.count; at += kBlock)
    kernel.run(x + at, initial == nullptr ? nullptr : initial + at,
               static_cast<std::uint32_t>(std::min(kBlock, chunk.count - at)), counters.data(), blocks++);
  for (std::size_t copy = 0; copy < kCounterCopies; ++copy)
    for (std::size_t s = 0; s < kSlots; ++s) slots[s] += counters[copy * kCounterStride + s];
}

void run_on_host(std::span<const WeightSlice> slices, Pass& pass, int threads) {
  const auto kernel = usable_block_kernels().back();
  // Chunks of one slice after the other: many small slices and one large slice are both shared out evenly.
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
  for (std::size_t c = 0; c < pass.chunks.size(); ++c) {
    const auto& chunk = pass.chunks[c];
    count_chunk(kernel, slices[chunk.slice], chunk, pass.blocks.data() + chunk.first_block,
                pass.slots.data() + c * kSlots);
  }
}

}  // namespace

std::vector<Measurement> measure(std::span<const WeightSlice> slices, int threads) {
  if (slices.empty()) return {};
  if (threads <= 0) threads = omp_get_max_threads();
  const auto place = slices.front().weights.place;
  for (const auto& slice : slices) {
    require(slice.weights.dtype == DType::f32, Fault::internal,
            "weights to measure must be float32: " + slice.parameter);
    require(slice.weights.place == place, Fault::internal,
            "weights of one measurement must lie in one place: " + slice.parameter);
  }
  if (place == Place::cuda) return measure_on_device(slices);
  Pass pass(slices);
  run_on_host(slices, pass, threads);
  return pass.combine(slices, threads);
}

}  // namespace weightscope
