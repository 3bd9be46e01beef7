#pragma once
// Private to comm: errors of the CUDA runtime.
#include <cuda_runtime_api.h>

#include <string>

#include "core/error.hpp"

namespace weightscope {

inline void check_cuda(cudaError_t status, const char* call) {
  if (status != cudaSuccess) throw Error(Fault::comm, std::string(call) + ": " + cudaGetErrorString(status));
}

}  // namespace weightscope
