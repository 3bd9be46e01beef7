#pragma once
#include <string>

#include "core/error.hpp"

namespace weightscope::ops::cuda {

/// For what returns a status whose success is 0: CUDA, cuBLAS, cuDNN.
inline void check(int status, const char* call) {
  if (status != 0)
    throw Error(Fault::internal, std::string(call) + " failed on the GPU with status " +
                                     std::to_string(status) +
                                     " (CUDA_LAUNCH_BLOCKING=1 and compute-sanitizer tell where)");
}

}  // namespace weightscope::ops::cuda
