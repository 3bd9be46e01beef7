// weightscope: command line → ranks → command → exit code (docs/cli.md). Here the process ends,
// unless a rank has to end all of them (comm).
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>

#include "app/cli.hpp"
#include "app/revision.hpp"
#include "core/crash.hpp"
#include "core/error.hpp"
#include "core/log.hpp"

namespace {

std::atomic<int> stop_signal{0};

extern "C" void request_stop(int number) { stop_signal = number; }

std::atomic<std::int64_t> interrupted_ms{0};  ///< when the first INT came; 0: none has

/// The second INT is somebody at a terminal who does not want to wait until all is saved. Within a second it
/// is the first one, told twice: timeout(1) and launchers send it to a process and to its group.
extern "C" void interrupt(int number) {
  constexpr std::int64_t kOneKeyPress_ms = 1000;
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const std::int64_t ms = std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  std::int64_t first = 0;
  if (interrupted_ms.compare_exchange_strong(first, ms)) {
    stop_signal = number;
  } else if (ms - first > kOneKeyPress_ms) {
    ::signal(number, SIG_DFL);
    ::raise(number);  // delivered when this handler returns
  }
}

/// TERM is heard as often as it comes: launchers repeat it, and have KILL.
void listen(bool command_saves) {
  struct sigaction ours {};
  ours.sa_handler = request_stop;
  ours.sa_flags = SA_RESTART;
  for (const int harmless : {SIGUSR1, SIGUSR2}) ::sigaction(harmless, &ours, nullptr);  // in every command
  if (!command_saves) return;
  ::sigaction(SIGTERM, &ours, nullptr);
  ours.sa_handler = interrupt;
  ::sigaction(SIGINT, &ours, nullptr);
}

/// When all fail together each leaves in good order, and one of them says why.
int end_with(const weightscope::HostComm& host, const weightscope::Error& error) {
  host.end_if_alone(error);
  if (host.is_root()) weightscope::log_error(error.what());
  return error.exit_code();
}

int run(const weightscope::CommandLine& line, const weightscope::HostComm& world) {
  using namespace weightscope;
  std::optional<HostComm> alone;  // one rank does it, and waits for no other
  try {
    const Job job{world.size(), share_cores(world)};
    if (!line.all_ranks) {
      alone.emplace(world.split(world.is_root() ? 0 : 1));
      if (!world.is_root()) return 0;
    }
    const Context context{alone ? &*alone : &world, alone ? share_cores(*alone) : job.cores, job,
                          source_revision};
    bind(context.cores);
    use_threads(context.cores.threads);
    return line.run(context, stop_signal);
  } catch (const Error& error) {
    return end_with(alone ? *alone : world, error);
  } catch (const std::exception& error) {
    return end_with(alone ? *alone : world, Error::internal(error));
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
  listen(line.saves);
  const MpiScope mpi(&argc, &argv);
  const auto world = HostComm::world();
  note_rank(world.rank());
  report_crashes();
  return run(line, world);
}

/// `| head` has seen enough: that is no failure.
bool reader_has_left() {
  pollfd out{STDOUT_FILENO, POLLOUT, 0};
  return ::poll(&out, 1, 0) == 1 && (out.revents & (POLLERR | POLLHUP)) != 0;
}

/// What a command has printed may fail as late as here, with the last of it.
int after_output(int code) {
  using namespace weightscope;
  const bool whole = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (whole || code != 0 || reader_has_left()) return code;
  log_error("cannot write to standard output: what was printed is not complete");
  return static_cast<int>(Fault::output);
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
  const int code = after_output(program(argc, argv));
  if (watched()) return code;
  std::fflush(nullptr);
  std::_Exit(code);  // all files are closed; LibTorch would take its thousands of operators apart, one by one
}
