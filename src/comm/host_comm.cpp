#include "comm/host_comm.hpp"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "comm/mpi_check.hpp"
#include "comm/watchdog.hpp"
#include "core/log.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 30;  // bytes: MPI counts are int

}  // namespace

void mpi_check(int status, const char* call) {
  if (status == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(status, text, &length);
  throw Error(Fault::comm, std::string(call) + ": " + text);
}

MpiScope::MpiScope(int* argc, char*** argv) {
  int provided = 0;
  mpi_check(MPI_Init_thread(argc, argv, MPI_THREAD_MULTIPLE, &provided), "MPI_Init_thread");
}
MpiScope::~MpiScope() { MPI_Finalize(); }
void MpiScope::abort(int code) {
  MPI_Abort(MPI_COMM_WORLD, code);
  std::_Exit(code);
}

HostComm HostComm::world() {
  MPI_Comm mine = MPI_COMM_NULL;
  mpi_check(MPI_Comm_dup(MPI_COMM_WORLD, &mine), "MPI_Comm_dup");
  mpi_check(MPI_Comm_set_errhandler(mine, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  return HostComm(mine);
}

HostComm::HostComm(MPI_Comm comm) : comm_(comm) {
  mpi_check(MPI_Comm_rank(comm_, &rank_), "MPI_Comm_rank");
  mpi_check(MPI_Comm_size(comm_, &size_), "MPI_Comm_size");
  MPI_Comm node = MPI_COMM_NULL;
  mpi_check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node),
            "MPI_Comm_split_type");
  mpi_check(MPI_Comm_rank(node, &local_rank_), "MPI_Comm_rank");
  mpi_check(MPI_Comm_size(node, &local_size_), "MPI_Comm_size");
  mpi_check(MPI_Comm_free(&node), "MPI_Comm_free");
}

HostComm HostComm::split(int color) const {
  MPI_Comm part = MPI_COMM_NULL;
  mpi_check(MPI_Comm_split(comm_, color, rank_, &part), "MPI_Comm_split");
  return HostComm(part);
}

HostComm HostComm::node() const {
  MPI_Comm node = MPI_COMM_NULL;
  mpi_check(MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node),
            "MPI_Comm_split_type");
  return HostComm(node);
}

HostComm::HostComm(HostComm&& o) noexcept
    : comm_(std::exchange(o.comm_, MPI_COMM_NULL)),
      rank_(o.rank_),
      size_(o.size_),
      local_rank_(o.local_rank_),
      local_size_(o.local_size_) {}

HostComm::~HostComm() {
  if (comm_ != MPI_COMM_NULL) MPI_Comm_free(&comm_);
}

void HostComm::barrier() const {
  const Wait wait("MPI_Barrier", 0);
  mpi_check(MPI_Barrier(comm_), "MPI_Barrier");
}

void HostComm::broadcast(std::span<std::byte> bytes) const {
  for (std::size_t from = 0; from < bytes.size(); from += kChunk) {
    const auto count = static_cast<int>(std::min(kChunk, bytes.size() - from));
    const Wait wait("MPI_Bcast", count);
    mpi_check(MPI_Bcast(bytes.data() + from, count, MPI_BYTE, 0, comm_), "MPI_Bcast");
  }
}

std::string HostComm::broadcast(std::string text) const {
  std::uint64_t length = text.size();
  broadcast(std::as_writable_bytes(std::span(&length, 1)));
  text.resize(length);
  broadcast(std::as_writable_bytes(std::span(text.data(), text.size())));
  return text;
}

std::vector<std::vector<std::byte>> HostComm::gather(std::span<const std::byte> mine) const {
  require(mine.size() < kChunk, Fault::internal, "HostComm::gather carries small messages only");
  const int count = static_cast<int>(mine.size());
  std::vector<int> counts(is_root() ? static_cast<std::size_t>(size_) : 0), offsets(counts.size());
  const Wait wait("MPI_Gatherv", count);
  mpi_check(MPI_Gather(&count, 1, MPI_INT, counts.data(), 1, MPI_INT, 0, comm_), "MPI_Gather");
  int total = 0;
  for (std::size_t r = 0; r < counts.size(); ++r) offsets[r] = total, total += counts[r];
  std::vector<std::byte> all(static_cast<std::size_t>(total));
  mpi_check(MPI_Gatherv(mine.data(), count, MPI_BYTE, all.data(), counts.data(), offsets.data(), MPI_BYTE, 0,
                        comm_),
            "MPI_Gatherv");
  std::vector<std::vector<std::byte>> per_rank;
  for (std::size_t r = 0; r < counts.size(); ++r)
    per_rank.emplace_back(all.begin() + offsets[r], all.begin() + offsets[r] + counts[r]);
  return per_rank;
}

std::vector<std::string> HostComm::gather(const std::string& mine) const {
  std::vector<std::string> texts;
  for (const auto& bytes : gather(std::as_bytes(std::span(mine))))
    texts.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return texts;
}

double HostComm::sum(double value) const {
  const Wait wait("MPI_Allreduce", sizeof value);
  mpi_check(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_SUM, comm_), "MPI_Allreduce");
  return value;
}
double HostComm::max(double value) const {
  const Wait wait("MPI_Allreduce", sizeof value);
  mpi_check(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, comm_), "MPI_Allreduce");
  return value;
}
std::int64_t HostComm::max(std::int64_t value) const {
  const Wait wait("MPI_Allreduce", sizeof value);
  mpi_check(MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_INT64_T, MPI_MAX, comm_), "MPI_Allreduce");
  return value;
}
void HostComm::sum(std::span<double> values) const {
  const Wait wait("MPI_Allreduce", static_cast<std::int64_t>(values.size_bytes()));
  mpi_check(
      MPI_Allreduce(MPI_IN_PLACE, values.data(), static_cast<int>(values.size()), MPI_DOUBLE, MPI_SUM, comm_),
      "MPI_Allreduce");
}

void HostComm::end_if_alone(const Error& error) const {
  if (error.scope() == Error::Scope::everywhere || size_ == 1) return;
  log_error(error.what());
  MpiScope::abort(error.exit_code());
}

void HostComm::agree(int fault, const std::string& failure) const {
  if (max(std::int64_t{fault}) == 0) return;
  // "fault text" of each rank; the lowest failing rank decides the exit code.
  const auto texts = gather(fault == 0 ? std::string() : std::to_string(fault) + " " + failure);
  std::string report;
  if (is_root()) {
    std::set<std::string> distinct;
    int code = 0;
    std::string lines;
    for (std::size_t r = 0; r < texts.size(); ++r) {
      if (texts[r].empty()) continue;
      const auto space = texts[r].find(' ');
      if (code == 0) code = std::atoi(texts[r].c_str());
      const auto text = texts[r].substr(space + 1);
      if (!distinct.insert(text).second) continue;
      lines +=
          (lines.empty() ? "" : "\n") + (r == 0 ? std::string() : "rank " + std::to_string(r) + ": ") + text;
    }
    report = std::to_string(code) + " " + lines;
  }
  report = broadcast(report);
  throw Error(static_cast<Fault>(std::atoi(report.c_str())), report.substr(report.find(' ') + 1),
              Error::Scope::everywhere);
}

}  // namespace weightscope
