#pragma once
#include <span>
#include <vector>

#include "core/weight_slice.hpp"
#include "monitor/summary.hpp"

namespace weightscope {

/// One pass over each slice, in fixed blocks merged in order: the same bits for any number of threads. f32,
/// host or CUDA (all slices of one call live in one place). threads <= 0: as many as OpenMP gives. CUDA: a
/// DeviceMeter for this one measurement.
std::vector<Measurement> measure(std::span<const WeightSlice> slices, int threads = 0);

/// The plain reference that measure() is tested against.
Measurement measure_reference(const WeightSlice& slice);

}  // namespace weightscope
