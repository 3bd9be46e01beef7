#pragma once
// The part of the CUDA runtime that weightscope calls, with host memory for device memory. Work on streams is
// put off until somebody waits for it. Then what is on other streams goes first, as far as events allow, or
// is put off further: so what is not ordered by events comes out wrong.
#include <cuda_runtime.h>

#include <functional>

namespace weightscope::host_cuda {

/// At once on the null stream.
void enqueue(void* stream, std::function<void()> work);

}  // namespace weightscope::host_cuda
