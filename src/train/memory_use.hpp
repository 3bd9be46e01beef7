#pragma once
#include <cstdint>

#include "model/param_store.hpp"

namespace weightscope {

/// Bytes of this process in memory now, and the most there ever were (VmRSS, VmHWM of /proc/self/status).
std::int64_t resident_bytes();
std::int64_t peak_resident_bytes();

/// Bytes of the program's own files in memory, code and data of weightscope and its libraries. They come page
/// by page as functions are first called, and how many come at once depends on what else the machine has
/// cached.
std::int64_t program_bytes();

/// Loads the GEMM libraries and starts the threads, so that what follows is the run's own memory.
void warm_up(Types types);

}  // namespace weightscope
