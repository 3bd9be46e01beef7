#include "app/context.hpp"

#include <ATen/Parallel.h>
#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "core/file_io.hpp"

namespace weightscope {
namespace {

/// "host core core core …" of this process.
std::string affinity_text() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  std::ostringstream out;
  out << host;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof cores, &cores) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &cores)) out << ' ' << core;
  return out.str();
}

struct Cores {
  std::string host;
  std::vector<int> cores;
  explicit Cores(const std::string& text) {
    std::istringstream in(text);
    in >> host;
    for (int core = 0; in >> core;) cores.push_back(core);
  }
  bool overlaps(const Cores& other) const {
    return host == other.host && std::any_of(cores.begin(), cores.end(), [&](int c) {
             return std::binary_search(other.cores.begin(), other.cores.end(), c);
           });
  }
};

Override split_override(const std::string& text) {
  const auto equals = text.find('=');
  require(equals != std::string::npos && equals > 0, Fault::config,
          "--set " + text + " is not KEY=VALUE; for example --set train.steps=100");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace

RunConfig load_config(const Context& context, const ConfigArguments& arguments, int world) {
  std::string text;
  context.host->together([&] {
    if (context.is_root()) text = read_file(arguments.file, Fault::config);
  });
  text = context.host->broadcast(text);
  RunConfig config;
  context.host->together([&] {
    std::vector<Override> overrides;
    for (const auto& set : arguments.set) overrides.push_back(split_override(set));
    if (!arguments.output.empty()) overrides.push_back({"output", arguments.output});
    config = parse_config(text, arguments.file, overrides, world);
  });
  return config;
}

int share_cores(const HostComm& host) {
  if (const char* fixed = std::getenv("OMP_NUM_THREADS"); fixed != nullptr && std::atoi(fixed) > 0)
    return std::atoi(fixed);
  const auto mine = affinity_text();
  std::string all;
  for (const auto& text : host.gather(mine)) all += text + "\n";
  std::istringstream lines(host.broadcast(all));
  const Cores own(mine);
  int sharing = 0;
  for (std::string line; std::getline(lines, line);) sharing += own.overlaps(Cores(line)) ? 1 : 0;
  return std::max(1, static_cast<int>(own.cores.size()) / std::max(1, sharing));
}

void use_threads(int threads) {
  omp_set_num_threads(threads);
  at::set_num_threads(threads);
}

}  // namespace weightscope
