#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "core/weight_slice.hpp"
#include "monitor/blocks.hpp"

namespace weightscope {

/// Fills pass.blocks and pass.slots for slices in device memory: one launch, on a stream that waits for the
/// producers' streams; the host waits for the results. `initial` in device or pinned memory is read in place,
/// any other host memory is copied first. In measure_cuda_stub.cpp, without CUDA support: Error{internal}.
void run_on_cuda(std::span<const WeightSlice> slices, Pass& pass);
std::vector<std::uint64_t> digests_on_cuda(std::span<const WeightSlice> slices);

}  // namespace weightscope
