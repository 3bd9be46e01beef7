#pragma once
#include <span>
#include <vector>

#include "core/weight_slice.hpp"
#include "monitor/summary.hpp"

namespace weightscope {

/// The power of two that brings `largest` into [2^3, 2^4), the last octave of the bins. 0 gives 152, more
/// than any number needs: merging takes the smaller exponent, so zeros take nothing away.
std::int64_t exponent_for(float largest);

/// measure() of values whose size is not known beforehand and may lie below the bins, such as gradients: each
/// slice is first multiplied, in place, by 2^histogram.exponent = exponent_for(its largest finite magnitude).
/// Powers of two round nothing, so the histogram is exact for the scaled values: nothing overflows, and the
/// middle bin holds what is smaller than 2^-27 of the largest. The summary is that of the values as they
/// were. f32, host; slices without initial values. threads as in measure().
std::vector<Measurement> measure_scaled(std::span<const WeightSlice> slices, int threads = 0);

}  // namespace weightscope
