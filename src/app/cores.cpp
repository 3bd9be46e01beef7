#include "app/cores.hpp"

#include <ATen/Parallel.h>
#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace weightscope {
namespace {

/// "host id id id …" of this process.
std::string affinity_text() {
  char host[256] = {};
  ::gethostname(host, sizeof host - 1);
  std::ostringstream out;
  out << host;
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0)
    for (int id = 0; id < CPU_SETSIZE; ++id)
      if (CPU_ISSET(id, &set)) out << ' ' << id;
  return out.str();
}

Processors parse_affinity(const std::string& text) {
  Processors out;
  std::istringstream in(text);
  in >> out.host;
  for (int id = 0; in >> id;) out.ids.push_back(id);
  return out;
}

bool overlap(const Processors& a, const Processors& b) {
  return a.host == b.host && std::any_of(a.ids.begin(), a.ids.end(), [&](int id) {
           return std::binary_search(b.ids.begin(), b.ids.end(), id);
         });
}

/// "0-3,8" as Linux writes lists of processors.
std::vector<int> siblings_of(int id) {
  std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(id) + "/topology/thread_siblings_list");
  std::vector<int> out;
  int first = 0;
  while (file >> first) {
    int last = first;
    if (file.peek() == '-') file.ignore(), file >> last;
    for (int i = first; i <= last; ++i) out.push_back(i);
    if (file.peek() == ',') file.ignore();
  }
  return out.empty() ? std::vector<int>{id} : out;
}

/// One list of processors per core, of those that the rank may use.
std::vector<std::vector<int>> cores_of(const Processors& mine, const Siblings& siblings) {
  std::vector<std::vector<int>> cores;
  for (const int id : mine.ids) {
    std::vector<int> usable;
    for (const int other : siblings(id))
      if (std::binary_search(mine.ids.begin(), mine.ids.end(), other)) usable.push_back(other);
    if (!usable.empty() && usable.front() == id) cores.push_back(std::move(usable));
  }
  return cores;
}

/// Of this machine. With one the kernel places ranks as well as a binding would (docs/performance.md).
bool one_memory_node() { return !std::filesystem::exists("/sys/devices/system/node/node1"); }

bool set_by_user(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr && *text != '\0';
}

}  // namespace

CoreShare share_cores(const std::vector<Processors>& all, int rank, const Siblings& siblings) {
  const auto& mine = all[static_cast<std::size_t>(rank)];
  const auto cores = cores_of(mine, siblings);
  std::size_t sharing = 0, before = 0;
  for (std::size_t r = 0; r < all.size(); ++r) {
    if (!overlap(mine, all[r])) continue;
    ++sharing;
    before += r < static_cast<std::size_t>(rank) ? 1 : 0;
  }
  if (sharing <= 1 || sharing > cores.size())  // alone on its cores, or too many to give each a core
    return {std::max(1, static_cast<int>(cores.size() / std::max<std::size_t>(1, sharing))), {}};
  const std::size_t each = cores.size() / sharing;
  CoreShare share{static_cast<int>(each), {}};
  for (std::size_t core = before * each; core < (before + 1) * each; ++core)
    share.bind_to.insert(share.bind_to.end(), cores[core].begin(), cores[core].end());
  std::sort(share.bind_to.begin(), share.bind_to.end());
  return share;
}

CoreShare share_cores(const HostComm& host) {
  std::string joined;
  for (const auto& text : host.gather(affinity_text())) joined += text + "\n";
  std::istringstream lines(host.broadcast(joined));
  std::vector<Processors> all;
  for (std::string line; std::getline(lines, line);) all.push_back(parse_affinity(line));
  auto share = share_cores(all, host.rank(), siblings_of);
  const char* threads = std::getenv("OMP_NUM_THREADS");
  if (const int fixed = threads == nullptr ? 0 : std::atoi(threads); fixed > 0) {
    if (fixed != share.threads) share.bind_to.clear();
    share.threads = fixed;
  }
  if (set_by_user("OMP_PROC_BIND") || set_by_user("OMP_PLACES") || one_memory_node()) share.bind_to.clear();
  return share;
}

void bind(const CoreShare& share) {
  if (share.bind_to.empty()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int id : share.bind_to) CPU_SET(id, &set);
  sched_setaffinity(0, sizeof set, &set);  // refused in some containers: then the kernel decides, as before
}

void use_threads(int threads) {
  omp_set_num_threads(threads);
  at::set_num_threads(threads);
}

}  // namespace weightscope
