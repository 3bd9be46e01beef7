#include "comm/fake_nccl.hpp"

#include <cuda_runtime_api.h>
#include <mpi.h>
#include <nccl.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <new>
#include <thread>

#include "host_cuda/streams.hpp"

namespace weightscope::fake {

State& state() {
  static State instance;
  return instance;
}
void reset() {
  state().~State();
  new (&state()) State;
}
std::vector<std::string> names() {
  std::vector<std::string> all;
  for (const auto& call : state().calls) all.push_back(call.name);
  return all;
}

namespace {

void record(const char* name, std::size_t count, const void* stream, const void* event = nullptr) {
  if (std::this_thread::get_id() == state().recorded)
    state().calls.push_back({name, count, stream, event, -1});
}

MPI_Datatype mpi_type(ncclDataType_t type) { return type == ncclFloat64 ? MPI_DOUBLE : MPI_FLOAT; }
std::size_t bytes_of(ncclDataType_t type) { return type == ncclFloat64 ? 8 : type == ncclBfloat16 ? 2 : 4; }

/// Counts a collective; the answer that was ordered for it, or success.
ncclResult_t begin(const char* name, std::size_t count, cudaStream_t stream, int root = -1) {
  record(name, count, stream);
  state().calls.back().root = root;
  ++state().collectives;
  if (state().hang_at_collective) return ncclInProgress;
  return ncclSuccess;
}

void divide(void* data, std::size_t count, ncclDataType_t type, int by) {
  for (std::size_t i = 0; i < count; ++i) {
    if (type == ncclFloat64)
      static_cast<double*>(data)[i] /= by;
    else
      static_cast<float*>(data)[i] /= static_cast<float>(by);
  }
}

int world() {
  int size = 1;
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  return size;
}

/// Sends and receives of a group, done when it ends.
struct Pending {
  void* data;
  std::size_t bytes;
  int peer;
  bool send;
};
std::vector<Pending> group;

}  // namespace
}  // namespace weightscope::fake

using namespace weightscope::fake;

extern "C" {
const char* ncclGetErrorString(ncclResult_t) { return "ordered by the test"; }
ncclResult_t ncclGetVersion(int* version) {
  *version = 22809;
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  record("ncclGetUniqueId", 0, nullptr);
  std::memset(id, 7, sizeof *id);
  return ncclSuccess;
}
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int, ncclUniqueId id, int, ncclConfig_t* config) {
  record(config->blocking == 0 && id.internal[5] == 7 ? "ncclCommInitRankConfig"
                                                      : "ncclCommInitRankConfig with wrong arguments",
         0, nullptr);
  *comm = reinterpret_cast<ncclComm_t>(0x1);
  return state().never_ready || state().polls_until_ready > 0 ? ncclInProgress : ncclSuccess;
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t, ncclResult_t* result) {
  if (state().reported >= 0) {
    *result = static_cast<ncclResult_t>(state().reported.load());
    return ncclSuccess;
  }
  const bool waiting = state().never_ready || (state().collectives > 0 && state().hang_at_collective) ||
                       --state().polls_until_ready > 0;
  const bool failing = state().fail_at_collective > 0 && state().collectives >= state().fail_at_collective;
  *result = failing ? ncclRemoteError : waiting ? ncclInProgress : ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t) {
  ++state().aborted;
  return ncclSuccess;
}
ncclResult_t ncclCommDestroy(ncclComm_t) {
  record("ncclCommDestroy", 0, nullptr);
  ++state().destroyed;
  return ncclSuccess;
}
ncclResult_t ncclMemAlloc(void** data, size_t bytes) {
  *data = std::malloc(bytes);
  ++state().memory;
  return ncclSuccess;
}
ncclResult_t ncclMemFree(void* data) {
  std::free(data);
  record("ncclMemFree", 0, nullptr);
  --state().memory;
  return ncclSuccess;
}
ncclResult_t ncclCommRegister(ncclComm_t, void*, size_t bytes, void** handle) {
  record("ncclCommRegister", bytes, nullptr);
  if (state().no_registration) return ncclInvalidUsage;
  *handle = reinterpret_cast<void*>(0x77);
  ++state().registered;
  return ncclSuccess;
}
ncclResult_t ncclCommDeregister(ncclComm_t, void* handle) {
  record(handle == reinterpret_cast<void*>(0x77) ? "ncclCommDeregister" : "ncclCommDeregister of another", 0,
         nullptr);
  --state().registered;
  return ncclSuccess;
}
ncclResult_t ncclAllReduce(const void*, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t, cudaStream_t stream) {
  const auto answer = begin(op == ncclAvg ? "ncclAllReduce avg" : "ncclAllReduce other", count, stream);
  if (answer != ncclSuccess || state().fail_at_collective > 0 || state().moves_nothing) return answer;
  MPI_Allreduce(MPI_IN_PLACE, out, static_cast<int>(count), mpi_type(type), MPI_SUM, MPI_COMM_WORLD);
  divide(out, count, type, world());
  return ncclSuccess;
}
ncclResult_t ncclBroadcast(const void*, void* out, size_t count, ncclDataType_t type, int root, ncclComm_t,
                           cudaStream_t stream) {
  begin("ncclBroadcast", count, stream, root);
  MPI_Bcast(out, static_cast<int>(count * bytes_of(type)), MPI_BYTE, root, MPI_COMM_WORLD);
  return ncclSuccess;
}
ncclResult_t ncclReduce(const void* in, void* out, size_t count, ncclDataType_t type, ncclRedOp_t op,
                        int root, ncclComm_t, cudaStream_t stream) {
  const auto answer = begin(op == ncclAvg ? "ncclReduce avg" : "ncclReduce other", count, stream, root);
  if (answer != ncclSuccess) return answer;
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Reduce(rank == root ? MPI_IN_PLACE : in, out, static_cast<int>(count), mpi_type(type), MPI_SUM, root,
             MPI_COMM_WORLD);
  if (rank == root) divide(out, count, type, world());
  return ncclSuccess;
}
ncclResult_t ncclAllGather(const void* in, void* out, size_t count, ncclDataType_t type, ncclComm_t,
                           cudaStream_t stream) {
  begin("ncclAllGather", count, stream);
  if (state().moves_nothing) return ncclSuccess;
  const std::vector<std::byte> mine(static_cast<const std::byte*>(in),
                                    static_cast<const std::byte*>(in) + count * bytes_of(type));
  MPI_Allgather(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, out, static_cast<int>(mine.size()),
                MPI_BYTE, MPI_COMM_WORLD);
  return ncclSuccess;
}
ncclResult_t ncclGroupStart() { return ncclSuccess; }
ncclResult_t ncclSend(const void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t,
                      cudaStream_t stream) {
  record("ncclSend", count, stream);
  group.push_back({const_cast<void*>(data), count * bytes_of(type), peer, true});
  return ncclSuccess;
}
ncclResult_t ncclRecv(void* data, size_t count, ncclDataType_t type, int peer, ncclComm_t,
                      cudaStream_t stream) {
  record("ncclRecv", count, stream);
  group.push_back({data, count * bytes_of(type), peer, false});
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  std::vector<MPI_Request> requests(group.size());
  for (std::size_t i = 0; i < group.size(); ++i) {
    const auto& p = group[i];
    const auto bytes = static_cast<int>(p.bytes);
    if (p.send)
      MPI_Isend(p.data, bytes, MPI_BYTE, p.peer, 0, MPI_COMM_WORLD, &requests[i]);
    else
      MPI_Irecv(p.data, bytes, MPI_BYTE, p.peer, 0, MPI_COMM_WORLD, &requests[i]);
  }
  MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE);
  group.clear();
  return ncclSuccess;
}

const char* cudaGetErrorString(cudaError_t) { return "fake"; }
cudaError_t cudaSetDevice(int device) {
  record("cudaSetDevice", static_cast<std::size_t>(device), nullptr);
  return cudaSuccess;
}
cudaError_t cudaMalloc(void** data, size_t bytes) {
  *data = std::malloc(bytes);
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = reinterpret_cast<cudaStream_t>(0x100);
  return cudaSuccess;
}
cudaError_t cudaStreamQuery(cudaStream_t) {
  ++state().queries;
  return static_cast<cudaError_t>(state().stream_state.load());
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  static std::uintptr_t next = kFirstEvent;
  *event = reinterpret_cast<cudaEvent_t>(next++);
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  record("cudaEventRecord", 0, stream, event);
  recorded_as.at(reinterpret_cast<std::uintptr_t>(event) - kFirstEvent) = ++state().recordings;
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  ++state().queries;
  while (state().holds_queries) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const int number = recorded_as.at(reinterpret_cast<std::uintptr_t>(event) - kFirstEvent);
  return number <= state().reached ? cudaSuccess : cudaErrorNotReady;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  record("cudaStreamWaitEvent", 0, stream, event);
  return cudaSuccess;
}
}

namespace weightscope::host_cuda {
void enqueue(void* stream, std::function<void()> work) {
  fake::record("kernel", 0, stream);
  work();
}
}  // namespace weightscope::host_cuda
