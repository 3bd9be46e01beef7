// weightscope: command line → ranks → command → exit code (docs/cli.md). Here the process ends,
// unless a rank has to end all of them (comm).
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "app/cli.hpp"
#include "app/revision.hpp"
#include "core/crash.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace {

std::atomic<int> stop_signal{0};

extern "C" void request_stop(int number) { stop_signal = number; }

/// When all fail together each leaves in good order, and one of them says why.
int end_with(const weightscope::HostComm& host, const weightscope::Error& error) {
  host.end_if_alone(error);
  if (host.is_root()) weightscope::log_error(error.what());
  return error.exit_code();
}

int run(const weightscope::CommandLine& line, const weightscope::HostComm& host) {
  using namespace weightscope;
  try {
    const Context context{&host, share_cores(host), source_revision};
    bind(context.cores);
    use_threads(context.cores.threads);
    return line.run(context, stop_signal);
  } catch (const Error& error) {
    return end_with(host, error);
  } catch (const std::exception& error) {
    return end_with(host, Error::internal(error));
  }
}

/// mpirun and srun tell a process its rank before MPI starts: only one of them prints help and usage errors.
bool speaks() {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "SLURM_PROCID"})
    if (const char* rank = std::getenv(name); rank != nullptr) return std::atoi(rank) == 0;
  return true;
}

int program(int argc, char** argv) {
  using namespace weightscope;
  const auto line = parse_command_line(argc, argv);
  if (!line.run) {
    if (speaks() && line.exit_code == 0) std::fputs(line.message.c_str(), stdout);
    if (speaks() && line.exit_code != 0) log_error(line.message);
    return line.exit_code;
  }
  set_log_level(line.quiet ? LogLevel::quiet : LogLevel::info);
  // Before MPI starts: a job may be told to stop while it is still starting.
  for (const int signal : {SIGUSR1, SIGUSR2, SIGTERM, SIGINT}) std::signal(signal, request_stop);
  const MpiScope mpi(&argc, &argv);
  const auto world = HostComm::world();
  note_rank(world.rank());
  report_crashes();
  if (line.all_ranks) return run(line, world);
  const auto alone = world.split(world.is_root() ? 0 : 1);  // one rank does it, and waits for no other
  return world.is_root() ? run(line, alone) : 0;
}

/// Sanitizers, profilers and the like do their work when a process ends in the usual way.
bool watched() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#else
  return std::getenv("LD_PRELOAD") != nullptr || std::getenv("CUDA_INJECTION64_PATH") != nullptr;
#endif
}

}  // namespace

int main(int argc, char** argv) {
  const int code = program(argc, argv);
  if (watched()) return code;
  std::fflush(nullptr);
  std::_Exit(code);  // all files are closed; LibTorch would take its thousands of operators apart, one by one
}
