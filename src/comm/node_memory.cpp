#include "comm/node_memory.hpp"

#include <fcntl.h>
#include <mpi.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>

#include "comm/mpi_check.hpp"
#include "comm/node_mapping.hpp"
#include "comm/watchdog.hpp"
#include "core/error.hpp"

namespace weightscope {
namespace {

#ifndef MADV_POPULATE_WRITE
constexpr int MADV_POPULATE_WRITE = 23;
#endif
#ifndef MADV_COLLAPSE
constexpr int MADV_COLLAPSE = 25;
#endif

std::size_t rounded(std::size_t bytes) { return (bytes + kHuge - 1) / kHuge * kHuge; }

/// Touches every page; false when there is no memory for them. Huge pages are asked for: refusal is harmless.
bool populate(std::byte* at, std::size_t bytes) {
  ::madvise(at, bytes, MADV_HUGEPAGE);
  for (std::size_t i = 0; i < bytes; i += kHuge)  // one page per extent is enough for MADV_COLLAPSE
    if (::madvise(at + i, 4096, MADV_POPULATE_WRITE) != 0 && errno != EINVAL) return false;
  ::madvise(at, bytes, MADV_COLLAPSE);
  if (::madvise(at, bytes, MADV_POPULATE_WRITE) == 0) return true;
  if (errno != EINVAL) return false;
  for (std::size_t i = 0; i < bytes; i += 4096) static_cast<volatile std::byte*>(at)[i] = std::byte{0};
  return true;  // before Linux 5.14 nobody says that there is no room
}

}  // namespace

struct NodeMemory::Impl {
  Impl(const HostComm& n, std::size_t bytes) : node(&n) {
    const auto mine = std::as_bytes(std::span(&bytes, 1));
    std::vector<std::size_t> sizes(static_cast<std::size_t>(n.size()));
    const Wait wait("MPI_Allgather", sizeof bytes);
    mpi_check(
        MPI_Allgather(mine.data(), sizeof bytes, MPI_BYTE, sizes.data(), sizeof bytes, MPI_BYTE, n.native()),
        "MPI_Allgather");
    for (const auto size : sizes) segments.push_back({nullptr, rounded(size)});
  }
  Impl(const Impl&) = delete;
  ~Impl() {
    if (window != MPI_WIN_NULL) {
      MPI_Win_unlock_all(window);
      MPI_Win_free(&window);
      return;
    }
    for (const auto& s : segments)
      if (s.data != nullptr) ::munmap(s.data, s.bytes);
  }

  bool all(bool ok) const { return node->max(std::int64_t{ok ? 0 : 1}) == 0; }
  bool open_files();
  bool open_window();

  const HostComm* node;
  std::vector<Mapping> segments;
  MPI_Win window = MPI_WIN_NULL;
};

bool NodeMemory::Impl::open_files() {
  const auto me = static_cast<std::size_t>(node->rank());
  const MemoryFile mine(segments[me].bytes);
  std::vector<MemoryFile::Name> names(segments.size());
  const auto name = mine.name();
  {
    const Wait wait("MPI_Allgather", sizeof name);
    mpi_check(
        MPI_Allgather(&name, sizeof name, MPI_BYTE, names.data(), sizeof name, MPI_BYTE, node->native()),
        "MPI_Allgather");
  }
  bool ok = mine.good();
  for (std::size_t r = 0; ok && r < segments.size(); ++r) {
    segments[r].data = map_memory_file(names[r], segments[r].bytes);
    ok = segments[r].data != nullptr;
  }
  // All have mapped it before the token at its start is wiped and the descriptor goes.
  ok = all(ok);
  if (ok) std::memset(segments[me].data, 0, sizeof name.token);
  return ok;
}

bool NodeMemory::Impl::open_window() {
  // Open MPI 4.1 hangs when the file behind the window does not fit: look first.
  const auto me = static_cast<std::size_t>(node->rank());
  std::size_t total = 0;
  for (const auto& s : segments) total += s.bytes + 4096;
  struct statvfs shm {};
  const bool room = ::statvfs("/dev/shm", &shm) == 0 &&
                    static_cast<double>(shm.f_bavail) * static_cast<double>(shm.f_frsize) >
                        1.06 * static_cast<double>(total);
  if (!all(room)) return false;
  std::byte* mine = nullptr;
  const auto status = MPI_Win_allocate_shared(static_cast<MPI_Aint>(segments[me].bytes + 4096), 1,
                                              MPI_INFO_NULL, node->native(), &mine, &window);
  if (!all(status == MPI_SUCCESS)) return false;
  mpi_check(MPI_Win_lock_all(MPI_MODE_NOCHECK, window), "MPI_Win_lock_all");
  for (std::size_t r = 0; r < segments.size(); ++r) {
    MPI_Aint size = 0;
    int unit = 0;
    std::byte* at = nullptr;
    mpi_check(MPI_Win_shared_query(window, static_cast<int>(r), &size, &unit, &at), "MPI_Win_shared_query");
    const auto address = reinterpret_cast<std::uintptr_t>(at);  // Open MPI aligns to 64 bytes only
    segments[r].data = at + ((address + 4095) / 4096 * 4096 - address);
  }
  return true;
}

NodeMemory::NodeMemory(const HostComm& node, std::size_t bytes, NodeBacking backing)
    : impl_(std::make_unique<Impl>(node, bytes)) {
  bool ok = backing == NodeBacking::window ? impl_->open_window() : impl_->open_files();
  const auto& mine = impl_->segments[static_cast<std::size_t>(node.rank())];
  ok = ok && populate(mine.data, mine.bytes);
  if (ok && backing == NodeBacking::window) std::memset(mine.data, 0, mine.bytes);
  require(impl_->all(ok), Fault::comm,
          std::string("the ranks of this node cannot share memory through ") +
              (backing == NodeBacking::window ? "an MPI window" : "memfd") +
              " (refused by the system, or not enough of it); parallel.shared_memory: off does without");
  for (const auto& s : impl_->segments) ::madvise(s.data, s.bytes, MADV_HUGEPAGE);
}

NodeMemory::NodeMemory(NodeMemory&&) noexcept = default;
NodeMemory& NodeMemory::operator=(NodeMemory&&) noexcept = default;
NodeMemory::~NodeMemory() = default;

std::byte* NodeMemory::segment(int r) const { return impl_->segments[static_cast<std::size_t>(r)].data; }

void NodeMemory::fence() const {
  const auto sync = [&] {
    if (impl_->window != MPI_WIN_NULL) MPI_Win_sync(impl_->window);
    std::atomic_thread_fence(std::memory_order_seq_cst);
  };
  sync();
  impl_->node->barrier();
  sync();
}

}  // namespace weightscope
