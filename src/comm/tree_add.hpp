#pragma once
// Private to comm: the one kernel of the NCCL backend.
#include <cstddef>

namespace weightscope {

/// into[i] += other[i] on the device, ordered on `stream` (cudaStream_t). Returns a cudaError_t.
int add_on_device(float* into, const float* other, std::size_t count, void* stream);

}  // namespace weightscope
