#pragma once
#include <functional>
#include <string>
#include <vector>

#include "comm/host_comm.hpp"

namespace weightscope {

/// The processors (logical CPUs) that one rank may run on.
struct Processors {
  std::string host;
  std::vector<int> ids;  ///< ascending
};

struct CoreShare {
  int threads = 1;
  std::vector<int> bind_to;  ///< processors to stay on; empty: where the launcher or the kernel puts the rank
};

/// Siblings of one processor: itself and the hardware threads of the same core, ascending.
using Siblings = std::function<std::vector<int>(int)>;

/// What rank `rank` of `all` gets: one thread per core, since hardware threads of one core share the units
/// that a GEMM fills. Ranks bound to cores of their own keep them; ranks that share cores get consecutive
/// runs of them, in the order of the ranks, so that each stays near its memory; more ranks than cores get a
/// thread each, unbound.
CoreShare share_cores(const std::vector<Processors>& all, int rank, const Siblings& siblings);

/// The same for this process. OMP_NUM_THREADS (or OMP_PROC_BIND, OMP_PLACES for the binding) overrides.
/// Collective.
CoreShare share_cores(const HostComm& host);

/// Keeps this process and the threads it will start on the processors of its share.
void bind(const CoreShare& share);

/// The number of threads for OpenMP and LibTorch.
void use_threads(int threads);

}  // namespace weightscope
