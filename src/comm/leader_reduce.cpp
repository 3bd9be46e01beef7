#include "comm/leader_reduce.hpp"

#include <mpi.h>

#include <bit>
#include <deque>

#include "comm/mpi_check.hpp"
#include "comm/tensor_comm.hpp"
#include "comm/watchdog.hpp"
#include "core/error.hpp"

namespace weightscope {
namespace {

using Half = std::uint16_t;  // bf16 on the wire

float widen(Half x) { return std::bit_cast<float>(std::uint32_t{x} << 16); }
/// Round to nearest even; a NaN stays a NaN.
Half narrow(float x) {
  const auto u = std::bit_cast<std::uint32_t>(x);
  if ((u & 0x7fffffffU) > 0x7f800000U) return static_cast<Half>((u >> 16) | 0x40U);
  return static_cast<Half>((u + 0x7fffU + ((u >> 16) & 1U)) >> 16);
}

/// One bucket on its way in bf16. Each leader owns a piece: the others send it theirs, it adds them up in
/// rank order in float32, and everyone, the owner too, gets the rounded sum.
class HalfBucket {
 public:
  HalfBucket(const HostComm& leaders, Buffer bucket)
      : comm_(leaders.native()),
        me_(leaders.rank()),
        ranks_(leaders.size()),
        x_(static_cast<float*>(bucket.data)) {
    const auto n = static_cast<std::int64_t>(bucket.count);
    for (int r = 0; r <= ranks_; ++r) starts_.push_back(static_cast<int>(n * r / ranks_));
    for (int r = 0; r < ranks_; ++r) counts_.push_back(starts_[at(r) + 1] - starts_[at(r)]);
    mine_ = counts_[at(me_)];
    out_.resize(bucket.count);
    for (std::size_t i = 0; i < out_.size(); ++i) out_[i] = narrow(x_[i]);
    theirs_.resize(static_cast<std::size_t>(mine_) * at(ranks_));
    for (int r = 0; r < ranks_; ++r) in_counts_.push_back(mine_), in_starts_.push_back(mine_ * r);
    mpi_check(MPI_Ialltoallv(out_.data(), counts_.data(), starts_.data(), MPI_UINT16_T, theirs_.data(),
                             in_counts_.data(), in_starts_.data(), MPI_UINT16_T, comm_, &request_),
              "MPI_Ialltoallv");
  }
  HalfBucket(const HalfBucket&) = delete;

  void add_up() {
    wait();
    auto* piece = out_.data() + starts_[at(me_)];
    for (int i = 0; i < mine_; ++i) {
      float sum = 0;
      for (int r = 0; r < ranks_; ++r) sum += widen(theirs_[at(r * mine_ + i)]);
      piece[i] = narrow(sum);
    }
    mpi_check(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_UINT16_T, out_.data(), counts_.data(), starts_.data(),
                              MPI_UINT16_T, comm_, &request_),
              "MPI_Iallgatherv");
  }
  void deliver() {
    wait();
    for (std::size_t i = 0; i < out_.size(); ++i) x_[i] = widen(out_[i]);
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  void wait() {
    const Wait wait("MPI_Wait of a bucket", static_cast<std::int64_t>(out_.size() * sizeof(Half)));
    mpi_check(MPI_Wait(&request_, MPI_STATUS_IGNORE), "MPI_Wait");
  }

  MPI_Comm comm_;
  int me_, ranks_, mine_ = 0;
  float* x_;
  std::vector<int> starts_, counts_, in_counts_, in_starts_;
  std::vector<Half> out_, theirs_;
  MPI_Request request_ = MPI_REQUEST_NULL;
};

}  // namespace

struct LeaderReduce::Impl {
  const HostComm* leaders;
  Transport transport;
  std::vector<MPI_Request> requests;  ///< f32
  std::deque<HalfBucket> buckets;     ///< bf16: the last one is being sent, the one before it being returned
};

LeaderReduce::LeaderReduce(const HostComm& leaders, Transport transport) : impl_(std::make_unique<Impl>()) {
  impl_->leaders = &leaders, impl_->transport = transport;
}
LeaderReduce::LeaderReduce(LeaderReduce&&) noexcept = default;
LeaderReduce& LeaderReduce::operator=(LeaderReduce&&) noexcept = default;
LeaderReduce::~LeaderReduce() = default;

void LeaderReduce::start(Buffer bucket) {
  require(bucket.dtype == DType::f32 && bucket.place == Place::host && bucket.count <= std::size_t{1} << 30,
          Fault::internal, "LeaderReduce sums float32 in host memory, at most 2^30 elements a bucket");
  const auto& leaders = *impl_->leaders;
  if (leaders.size() == 1) return;
  switch (impl_->transport) {
    case Transport::f32:
      mpi_check(MPI_Iallreduce(MPI_IN_PLACE, bucket.data, static_cast<int>(bucket.count), MPI_FLOAT, MPI_SUM,
                               leaders.native(), &impl_->requests.emplace_back()),
                "MPI_Iallreduce");
      return;
    case Transport::f32_tree:
      MpiBackend(leaders).all_reduce_sum_tree(bucket);
      return;
    case Transport::bf16:
      impl_->buckets.emplace_back(leaders, bucket);
      if (impl_->buckets.size() > 1) impl_->buckets[impl_->buckets.size() - 2].add_up();
      if (impl_->buckets.size() > 2) {
        impl_->buckets.front().deliver();
        impl_->buckets.pop_front();
      }
  }
}

void LeaderReduce::finish() {
  {
    const Wait wait("MPI_Waitall of buckets", static_cast<std::int64_t>(impl_->requests.size()));
    mpi_check(
        MPI_Waitall(static_cast<int>(impl_->requests.size()), impl_->requests.data(), MPI_STATUSES_IGNORE),
        "MPI_Waitall");
  }
  impl_->requests.clear();
  if (!impl_->buckets.empty()) impl_->buckets.back().add_up();
  for (auto& bucket : impl_->buckets) bucket.deliver();
  impl_->buckets.clear();
}

}  // namespace weightscope
