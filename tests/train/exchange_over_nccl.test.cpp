// A step's exchange as NCCL gets it: which buckets, when, on which stream, behind and before which events.
// The recording substitute stands in for NCCL and CUDA; what is called "device memory" here is host memory.
#include <gtest/gtest.h>

#include <algorithm>

#include "comm/fake_nccl.hpp"
#include "train/exchange.hpp"
#include "train/gradient.hpp"

namespace weightscope {

bool is_collective(const fake::Call& call) { return call.name.starts_with("nccl"); }

class ExchangeOverNccl : public testing::Test {
 protected:
  struct Job {
    Job(const HostComm& host, int zero, std::int64_t micro_batches)
        : comm(TensorComm::make(host, Place::cuda, 0, 60)),
          config(configured(zero)),
          store(config.model, types_of(Precision::bf16), {}, host.size()),
          exchange(config.parallel, store, comm, host, nullptr, micro_batches),
          ends(bucket_ends(store.parameters(), store.size(), config.parallel.bucket_mb)) {
      fake::state().calls.clear();  // of the start
    }
    static RunConfig configured(int zero) {
      RunConfig c;
      c.model = small_model();
      c.parallel.zero = zero;
      c.parallel.bucket_mb = 0.0001;  // as many as there can be
      c.parallel.shared_memory = SharedMemory::off;
      return c;
    }
    Shard bucket(std::size_t i) const { return {i == 0 ? 0 : ends[i - 1], ends[i]}; }
    /// Which rank owns how many elements of a bucket, in order.
    std::vector<std::pair<int, std::size_t>> owners(std::size_t i) const {
      std::vector<std::pair<int, std::size_t>> parts;
      const auto size = exchange.shard().size();
      for (std::int64_t at = bucket(i).begin; at < bucket(i).end;) {
        const auto end = std::min(bucket(i).end, (at / size + 1) * size);
        parts.emplace_back(static_cast<int>(at / size), static_cast<std::size_t>(end - at));
        at = end;
      }
      return parts;
    }

    TensorComm comm;
    RunConfig config;
    ParamStore store;
    GradientExchange exchange;
    std::vector<std::int64_t> ends;
  };

  void SetUp() override { fake::reset(); }

  static std::vector<fake::Call> take() { return std::exchange(fake::state().calls, {}); }

  /// Calls for each collective: the wait for the producer's stream (null here) by an event, and what the
  /// watch looks at, around it.
  static constexpr std::ptrdiff_t kCalls = 5;
  /// The one collective of `calls`.
  static fake::Call single(const std::vector<fake::Call>& calls) {
    EXPECT_EQ(calls.size(), std::size_t{kCalls});
    if (calls.size() != kCalls) return {};
    EXPECT_EQ(calls[0].name, "cudaEventRecord");
    EXPECT_EQ(calls[0].stream, nullptr);
    EXPECT_EQ(calls[1].name, "cudaStreamWaitEvent");
    EXPECT_EQ(calls[1].event, calls[0].event);
    for (const auto i : {1U, 2U, 4U}) EXPECT_EQ(calls[i].stream, calls[3].stream);
    for (const auto i : {2U, 4U}) EXPECT_EQ(calls[i].name, "cudaEventRecord");
    EXPECT_NE(calls[3].stream, nullptr) << "collectives have a stream of their own";
    return calls[3];
  }

  HostComm host = HostComm::world();
};

TEST_F(ExchangeOverNccl, EachBucketLeavesWhenItIsFinalAndTheUpdateWaitsForAll) {
  Job job(host, 0, 2);
  ASSERT_EQ(job.ends.size(), 6U) << "ln_f | h.2 | h.1 | h.0 | wpe | wte";
  const auto n = job.store.size();
  auto grad = job.store.grad();
  job.exchange.begin_step();
  grad.copy_(gradient(host.rank(), n));
  for (const auto end : job.ends) job.exchange.ready(0, end);
  job.exchange.end_micro_batch(0);
  EXPECT_TRUE(take().empty()) << "gradients of the first micro-batch are not final";
  grad.add_(gradient(host.rank() + 10, n));
  const void* stream = nullptr;
  for (std::size_t i = 0; i < job.ends.size(); ++i) {
    job.exchange.ready(1, job.ends[i] - 1);
    EXPECT_TRUE(take().empty()) << "one element of bucket " << i << " is missing";
    job.exchange.ready(1, job.ends[i]);
    const auto call = single(take());
    EXPECT_EQ(call.name, "ncclAllReduce avg");
    EXPECT_EQ(call.count, static_cast<std::size_t>(job.bucket(i).size()));
    stream = call.stream;
  }
  job.exchange.end_micro_batch(1);
  job.exchange.finish();
  const auto calls = take();
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(calls[0].name, "cudaEventRecord");
  EXPECT_EQ(calls[0].stream, stream);
  EXPECT_EQ(calls[1].name, "cudaStreamWaitEvent");
  EXPECT_EQ(calls[1].event, calls[0].event);
  EXPECT_EQ(calls[1].stream, nullptr) << "the update is on the producer's stream";
  auto mean = at::zeros({n}, at::kDouble);
  for (int rank = 0; rank < host.size(); ++rank)
    mean += (gradient(rank, n) + gradient(rank + 10, n)).to(at::kDouble) / host.size();
  EXPECT_LT((grad.to(at::kDouble) - mean).abs().max().item<double>(), 1e-6);
}

TEST_F(ExchangeOverNccl, WithZeroEachPartOfABucketGoesToItsOwner) {
  Job job(host, 1, 1);
  job.exchange.begin_step();
  job.store.grad().copy_(gradient(host.rank(), job.store.size()));
  for (std::size_t i = 0; i < job.ends.size(); ++i) {
    job.exchange.ready(0, job.ends[i]);
    auto calls = take();
    const auto owners = job.owners(i);
    ASSERT_EQ(calls.size(), kCalls * owners.size());
    for (std::size_t part = 0; part < owners.size(); ++part) {
      const auto first = calls.begin() + kCalls * static_cast<std::ptrdiff_t>(part);
      const auto call = single({first, first + kCalls});
      EXPECT_EQ(call.name, "ncclReduce avg");
      EXPECT_EQ(call.root, owners[part].first);
      EXPECT_EQ(call.count, owners[part].second);
    }
  }
  job.exchange.finish();
  take();
  auto mean = at::zeros({job.store.size()}, at::kDouble);
  for (int rank = 0; rank < host.size(); ++rank)
    mean += gradient(rank, job.store.size()).to(at::kDouble) / host.size();
  const auto mine = job.exchange.shard();
  EXPECT_LT((mine.of(job.store.grad()).to(at::kDouble) - mine.of(mean)).abs().max().item<double>(), 1e-6);
}

TEST_F(ExchangeOverNccl, UpdatedShardsComeBackInTheOrderOfReadingAndEachReaderWaitsForItsBucketAlone) {
  Job job(host, 1, 1);
  job.exchange.share_updated_weights();
  auto calls = take();
  std::vector<const void*> arrived(job.ends.size());
  auto call = calls.begin();
  for (std::size_t i = job.ends.size(); i-- > 0;) {
    for (const auto& [owner, count] : job.owners(i)) {
      ASSERT_LE(kCalls, calls.end() - call);
      const auto broadcast = single({call, call + kCalls});
      EXPECT_EQ(broadcast.name, "ncclBroadcast");
      EXPECT_EQ(broadcast.root, owner);
      EXPECT_EQ(broadcast.count, count);
      call += kCalls;
    }
    ASSERT_NE(call, calls.end());
    EXPECT_EQ(call->name, "cudaEventRecord") << "behind bucket " << i;
    EXPECT_EQ(call->stream, (call - 1)->stream);
    arrived[i] = (call++)->event;
  }
  EXPECT_EQ(call, calls.end());
  for (std::size_t i = job.ends.size(); i-- > 0;) {
    job.exchange.await_weights(job.ends[i]);
    EXPECT_TRUE(take().empty()) << "nothing of bucket " << i << " is read yet";
    job.exchange.await_weights(job.bucket(i).begin);
    calls = take();
    ASSERT_EQ(calls.size(), 1U);
    EXPECT_EQ(calls[0].name, "cudaStreamWaitEvent");
    EXPECT_EQ(calls[0].event, arrived[i]);
    EXPECT_EQ(calls[0].stream, nullptr);
  }
}

TEST_F(ExchangeOverNccl, SumsInAFixedOrderLeaveWhenAllIsFinal) {
  Job job(host, 0, 1);
  job.config.parallel.reduction = Reduction::reproducible;
  GradientExchange exchange(job.config.parallel, job.store, job.comm, host, nullptr, 1);
  exchange.begin_step();
  for (const auto end : job.ends) exchange.ready(0, end);
  exchange.end_micro_batch(0);
  EXPECT_TRUE(take().empty());
  exchange.finish();
  const auto calls = take();
  EXPECT_TRUE(std::any_of(calls.begin(), calls.end(), is_collective));
  ASSERT_FALSE(calls.empty());
  EXPECT_EQ(calls.back().name, "cudaStreamWaitEvent");
  EXPECT_EQ(calls.back().stream, nullptr);
}

}  // namespace weightscope
