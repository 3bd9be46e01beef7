#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/error.hpp"

struct ompi_communicator_t;  // keeps <mpi.h> out of every header

namespace weightscope {

/// The control plane: small messages between host memories, always MPI.
/// Every member is collective: all ranks call it, in the same order, or all hang.
class HostComm {
 public:
  /// Wraps MPI_COMM_WORLD (duplicated); MPI errors become Error{comm}.
  static HostComm world();
  /// The ranks of the same color, in the same order.
  HostComm split(int color) const;
  /// The ranks that share this rank's memory.
  HostComm node() const;
  HostComm(HostComm&&) noexcept;
  HostComm& operator=(HostComm&&) = delete;
  ~HostComm();

  int rank() const { return rank_; }
  int size() const { return size_; }
  bool is_root() const { return rank_ == 0; }
  int local_rank() const { return local_rank_; }  ///< among the processes of this node: picks the GPU
  int local_size() const { return local_size_; }  ///< processes on this node: shares out the cores

  void barrier() const;
  void broadcast(std::span<std::byte> bytes) const;  ///< root's bytes to all; any size
  std::string broadcast(std::string text) const;     ///< sizes may differ per rank on entry
  std::vector<std::vector<std::byte>> gather(
      std::span<const std::byte> mine) const;  ///< root: one per rank; others: {}
  std::vector<std::string> gather(const std::string& mine) const;
  double sum(double value) const;
  void sum(std::span<double> values) const;  ///< element by element, in place
  double max(double value) const;
  std::int64_t max(std::int64_t value) const;

  /// Every rank passes its own failure ("" = fine) and its fault. If any failed, all ranks throw the same
  /// Error: the fault of the lowest failing rank and, when there is more than one rank, "rank N: " before its
  /// text.
  void agree(int fault, const std::string& failure) const;
  /// Runs `action` on this rank and turns what it throws into the same Error on all ranks.
  template <class F>
  void together(F&& action) const {
    int fault = 0;
    std::string failure;
    try {
      action();
    } catch (const Error& e) {
      fault = e.exit_code(), failure = e.what();
    } catch (const std::exception& e) {
      fault = static_cast<int>(Fault::internal), failure = e.what();
    }
    agree(fault, failure);
  }

  /// What this rank alone has met: says it and ends the job with its code. Returns where all ranks know of
  /// it.
  void end_if_alone(const Error& error) const;
  /// action(); but a failure of this rank alone ends the job right here. What unwinding destroys is in part
  /// held in common (windows of shared memory, communicators), and waits for ranks that wait for this one.
  template <class F>
  auto alone_ends_all(F&& action) const {
    try {
      return action();
    } catch (const Error& e) {
      end_if_alone(e);
      throw;
    } catch (const std::exception& e) {
      end_if_alone(Error::internal(e));
      throw;
    }
  }

  ompi_communicator_t* native() const { return comm_; }  ///< for comm/*.cpp only

 private:
  explicit HostComm(ompi_communicator_t* comm);
  ompi_communicator_t* comm_;
  int rank_ = 0, size_ = 1, local_rank_ = 0, local_size_ = 1;
};

/// MPI_Init_thread(MPI_THREAD_MULTIPLE) and MPI_Finalize as a scope. First object in main().
class MpiScope {
 public:
  MpiScope(int* argc, char*** argv);
  ~MpiScope();
  MpiScope(const MpiScope&) = delete;
  MpiScope& operator=(const MpiScope&) = delete;
  /// Ends every rank of the job with `code`, at once. Does not return.
  [[noreturn]] static void abort(int code);
};

}  // namespace weightscope
