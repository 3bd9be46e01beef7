#pragma once
#include <string>
#include <vector>

#include "comm/host_comm.hpp"
#include "config/config.hpp"

namespace weightscope {

enum class OutputFormat { text, json };

/// What every command gets: the ranks, and the threads this one may use.
struct Context {
  const HostComm* host = nullptr;
  int threads = 1;
  bool is_root() const { return host->is_root(); }
};

/// CONFIG, --set and --output of the command line.
struct ConfigArguments {
  std::string file, output;
  std::vector<std::string> set;
};

/// Rank 0 reads the file, all ranks parse the same bytes. world = 0: ranks do not matter to this command.
/// Collective.
RunConfig load_config(const Context& context, const ConfigArguments& arguments, int world);

/// Cores this rank may use: those of its affinity mask, divided by the ranks of its node that share them
/// (none does when mpirun or Slurm bound each rank to its own). OMP_NUM_THREADS overrides. Collective.
int share_cores(const HostComm& host);

/// The same number for OpenMP and LibTorch.
void use_threads(int threads);

}  // namespace weightscope
