#pragma once
// Private to comm: the kernels of the NCCL backend, ordered on `stream` (cudaStream_t). Each returns a
// cudaError_t. All pointers are device memory; nothing happens where count is 0.
#include <cstddef>

namespace weightscope {

/// out[i] = Σ over ranks of parts[rank][i], added up in float32 in a binary tree, neighbours first. parts: of
/// bf16 (half) or float32.
int add_on_device(const void* parts, bool half, std::size_t ranks, std::size_t count, float* out,
                  void* stream);
/// float32 to bf16, to the nearest, and back.
int narrow_on_device(const float* from, void* to, std::size_t count, void* stream);
int widen_on_device(const void* from, float* to, std::size_t count, void* stream);

}  // namespace weightscope
