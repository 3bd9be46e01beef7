#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>

#include "ops/cuda/check.hpp"

namespace weightscope::ops::cuda {

/// Whether work on the stream is being recorded into a graph: nothing can be timed then.
inline bool is_captured(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(stream, &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

/// The number of the quickest of `count` candidates. run(i) enqueues candidate i and returns false where it
/// cannot run. A candidate must win by 2 %: the first one is what the library itself would take. The host
/// waits.
template <class F>
std::size_t fastest(std::size_t count, cudaStream_t stream, F&& run) {
  constexpr int kWarmUps = 2, kRuns = 6;
  constexpr float kGain = 0.98F;
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "cudaEventCreate");
  check(cudaEventCreate(&end), "cudaEventCreate");
  std::size_t best = 0;
  float least = 0;
  for (std::size_t i = 0; i < count; ++i) {
    bool runs = true;
    for (int k = 0; k < kWarmUps; ++k) runs = runs && run(i);
    if (!runs) continue;
    check(cudaEventRecord(begin, stream), "cudaEventRecord");
    for (int k = 0; k < kRuns; ++k) run(i);
    check(cudaEventRecord(end, stream), "cudaEventRecord");
    check(cudaEventSynchronize(end), "cudaEventSynchronize");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end), "cudaEventElapsedTime");
    if (least == 0 || milliseconds < least * kGain) best = i, least = milliseconds;
  }
  cudaEventDestroy(begin), cudaEventDestroy(end);
  return best;
}

}  // namespace weightscope::ops::cuda
