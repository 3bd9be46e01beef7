#include "comm/leader_reduce.hpp"

#include <mpi.h>

#include <deque>

#include "comm/mpi_check.hpp"
#include "comm/piece_sum.hpp"
#include "comm/watchdog.hpp"
#include "core/error.hpp"

namespace weightscope {
struct LeaderReduce::Impl {
  const HostComm* leaders;
  Transport transport;
  std::vector<MPI_Request> requests;  ///< f32
  std::deque<PieceSum> buckets;       ///< others: the last one is being sent, the one before it being shared
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
    case Transport::bf16:
      // The bucket before was sent while the node added this one up; while this one is sent, its sum returns.
      const bool before = !impl_->buckets.empty();
      impl_->buckets.emplace_back(leaders, static_cast<float*>(bucket.data),
                                  Pieces::of(bucket.count, leaders.size()),
                                  impl_->transport == Transport::bf16 ? Wire::bf16 : Wire::f32);
      if (before) {
        auto& last = impl_->buckets[impl_->buckets.size() - 2];
        last.add_up(), last.share();
      }
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
  if (!impl_->buckets.empty()) impl_->buckets.back().add_up(), impl_->buckets.back().share();
  for (auto& bucket : impl_->buckets) bucket.deliver();
  impl_->buckets.clear();
}

}  // namespace weightscope
