#pragma once
#include <string>
#include <vector>

#include "app/cores.hpp"
#include "comm/host_comm.hpp"
#include "config/config.hpp"

namespace weightscope {

enum class OutputFormat { text, json };

/// All ranks that mpirun or srun started, also where a command runs on one of them.
struct Job {
  int ranks = 1;
  CoreShare cores;  ///< of this rank, when all of them compute
};

/// What every command gets: the ranks that run it, and the cores this one may use.
struct Context {
  const HostComm* host = nullptr;
  CoreShare cores;
  Job job;
  std::string revision;  ///< of the program's sources
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

}  // namespace weightscope
