// The NCCL backend against recorded calls: order, counts, streams, events, errors. Device memory is host
// memory here.
#include <gtest/gtest.h>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <algorithm>
#include <cmath>
#include <future>

#include "comm/fake_nccl.hpp"
#include "comm/nccl_watch.hpp"
#include "comm/tensor_comm.hpp"

namespace weightscope {

class Nccl : public testing::Test {
 protected:
  void SetUp() override { fake::reset(); }
  HostComm host = HostComm::world();
  NcclBackend backend(double timeout_s = 5) { return NcclBackend(host, 3, timeout_s); }
  std::vector<float> values(std::size_t n) const {
    std::vector<float> x(n);
    for (std::size_t i = 0; i < n; ++i)
      x[i] = std::sin(static_cast<float>(i + 100U * static_cast<unsigned>(host.rank())));
    return x;
  }
  Buffer of(std::vector<float>& x) const {
    Buffer b;
    b.data = x.data(), b.count = x.size(), b.place = Place::cuda, b.stream = reinterpret_cast<void*>(0x42);
    return b;
  }
};

TEST_F(Nccl, OnlyRankZeroMakesTheIdAndTheDeviceIsSetFirst) {
  auto nccl = backend();
  const auto expected =
      host.is_root() ? std::vector<std::string>{"cudaSetDevice", "ncclGetUniqueId", "ncclCommInitRankConfig"}
                     : std::vector<std::string>{"cudaSetDevice", "ncclCommInitRankConfig"};
  EXPECT_EQ(fake::names(), expected);
  EXPECT_EQ(fake::state().calls[0].count, 3U);
}

TEST_F(Nccl, InitializationIsPolledUntilReady) {
  fake::state().polls_until_ready = 5;
  auto nccl = backend();
  EXPECT_LE(fake::state().polls_until_ready, 0);
}

TEST_F(Nccl, InitializationThatNeverEndsIsAnErrorAfterTheDeadline) {
  fake::state().never_ready = true;
  try {
    backend(0.05);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault(), Fault::comm);
    EXPECT_NE(std::string(e.what()).find("timeout_s"), std::string::npos) << e.what();
  }
  EXPECT_EQ(fake::state().aborted, 1);
}

TEST_F(Nccl, CollectiveWaitsForItsProducerAndTheConsumerForIt) {
  auto nccl = backend();
  auto x = values(1000);
  fake::state().calls.clear();
  nccl.all_reduce_mean(of(x));
  nccl.wait(reinterpret_cast<void*>(0x43));
  const auto& calls = fake::state().calls;
  ASSERT_EQ(fake::names(),
            (std::vector<std::string>{"cudaEventRecord", "cudaStreamWaitEvent", "ncclAllReduce avg",
                                      "cudaEventRecord", "cudaStreamWaitEvent"}));
  const auto* own = calls[2].stream;
  EXPECT_EQ(calls[0].stream, reinterpret_cast<void*>(0x42)) << "the event is recorded behind the producer";
  EXPECT_EQ(calls[1].stream, own) << "our stream waits for it";
  EXPECT_EQ(calls[0].event, calls[1].event);
  EXPECT_EQ(calls[3].stream, own);
  EXPECT_EQ(calls[4].stream, reinterpret_cast<void*>(0x43)) << "the consumer waits for our stream";
  EXPECT_EQ(calls[3].event, calls[4].event);
  EXPECT_NE(own, calls[0].stream);
}

TEST_F(Nccl, ConsumersWaitForWhatWasMarkedOnly) {
  auto nccl = backend();
  auto x = values(10);
  fake::state().calls.clear();
  for (const std::size_t slot : {2U, 0U, 2U}) nccl.broadcast(of(x), host.size() - 1), nccl.mark(slot);
  nccl.wait_for(0, reinterpret_cast<void*>(0x43));
  nccl.wait_for(2, reinterpret_cast<void*>(0x44));
  std::vector<fake::Call> marks, waits;
  const auto& calls = fake::state().calls;
  for (std::size_t i = 1; i < calls.size(); ++i) {
    if (calls[i].name == "cudaEventRecord" && calls[i - 1].name == "ncclBroadcast") {
      marks.push_back(calls[i]);
      EXPECT_EQ(calls[i].stream, calls[i - 1].stream) << "right behind it, on its stream";
    }
    if (calls[i].name == "cudaStreamWaitEvent" && calls[i].stream != calls[2].stream)
      waits.push_back(calls[i]);
  }
  ASSERT_EQ(marks.size(), 3U);
  EXPECT_NE(marks[0].event, marks[1].event);
  EXPECT_EQ(marks[0].event, marks[2].event) << "a slot keeps its event";
  ASSERT_EQ(waits.size(), 2U);
  EXPECT_EQ(waits[0].event, marks[1].event);
  EXPECT_EQ(waits[0].stream, reinterpret_cast<void*>(0x43));
  EXPECT_EQ(waits[1].event, marks[2].event);
  EXPECT_EQ(waits[1].stream, reinterpret_cast<void*>(0x44));
}

TEST_F(Nccl, MessagesBeyondTwoToTheThirtyAreSplit) {
  auto nccl = backend();
  fake::state().moves_nothing = true;
  fake::state().calls.clear();
  Buffer huge;
  huge.data = reinterpret_cast<void*>(0x1000), huge.count = (std::size_t{5} << 29) + 7,
  huge.place = Place::cuda;
  nccl.all_reduce_mean(huge);
  std::vector<std::size_t> counts;
  for (const auto& call : fake::state().calls)
    if (call.name.starts_with("nccl")) counts.push_back(call.count);
  EXPECT_EQ(counts, (std::vector<std::size_t>{std::size_t{1} << 30, std::size_t{1} << 30,
                                              (std::size_t{1} << 29) + 7}));
}

TEST_F(Nccl, RegisteredMemoryGoesBackInTheRightOrder) {
  {
    auto nccl = backend();
    auto* memory = static_cast<float*>(nccl.registered_memory(100 * sizeof(float)));
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(fake::state().calls.back().name, "ncclCommRegister");
    EXPECT_EQ(fake::state().calls.back().count, 400U);
    std::fill(memory, memory + 100, 1.5F);
    Buffer b;
    b.data = memory, b.count = 100, b.place = Place::cuda;
    nccl.all_reduce_mean(b);
    EXPECT_EQ(memory[99], 1.5F);
    fake::state().calls.clear();
  }
  EXPECT_EQ(fake::names(),
            (std::vector<std::string>{"ncclCommDeregister", "ncclCommDestroy", "ncclMemFree"}));
  EXPECT_EQ(fake::state().memory, 0);
}

TEST_F(Nccl, MemoryThatOneRankCannotRegisterIsOfferedToNone) {
  auto nccl = backend();
  fake::state().no_registration = host.rank() == host.size() - 1;
  EXPECT_EQ(nccl.registered_memory(64), nullptr);
  EXPECT_EQ(fake::state().memory, 0);
  EXPECT_EQ(fake::state().registered, 0);
  auto x = values(10);  // and everything goes on without
  nccl.all_reduce_mean(of(x));
  fake::state().no_registration = false;
  EXPECT_NE(nccl.registered_memory(64), nullptr);
}

TEST_F(Nccl, AllGatherIsOneCallWhateverItsSize) {
  auto nccl = backend();
  fake::state().moves_nothing = true;
  Buffer huge;
  huge.count = (std::size_t{1} << 30) + 7, huge.place = Place::cuda;
  nccl.all_gather(huge, huge);
  EXPECT_EQ(std::ranges::count(fake::names(), "ncclAllGather"), 1);
}

TEST_F(Nccl, GivesTheResultsOfTheMpiBackend) {
  auto nccl = backend();
  MpiBackend mpi(host);
  const auto host_buffer = [](std::vector<float>& x) {
    Buffer b;
    b.data = x.data(), b.count = x.size();
    return b;
  };
  auto a = values(501), b = values(501);
  nccl.all_reduce_mean(of(a)), mpi.all_reduce_mean(host_buffer(b));
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6F);
  const auto P = static_cast<std::size_t>(host.size()), n = std::size_t{20};
  auto c = values(n * P), d = values(n * P);
  auto part = [&](Buffer whole) {
    whole.data = static_cast<float*>(whole.data) + n * static_cast<std::size_t>(host.rank()), whole.count = n;
    return whole;
  };
  const auto piece = [&](Buffer whole, std::size_t owner) {
    whole.data = static_cast<float*>(whole.data) + n * owner, whole.count = n;
    return whole;
  };
  for (std::size_t r = 0; r < P; ++r)
    nccl.reduce_mean(piece(of(c), r), static_cast<int>(r)),
        mpi.reduce_mean(piece(host_buffer(d), r), static_cast<int>(r));
  nccl.all_gather(part(of(c)), of(c)), mpi.all_gather(part(host_buffer(d)), host_buffer(d));
  for (std::size_t i = 0; i < c.size(); ++i) EXPECT_NEAR(c[i], d[i], 1e-6F);
  for (int owner = 0; owner < host.size(); ++owner) {
    auto e = values(77), f = values(77);
    nccl.broadcast(of(e), owner), mpi.broadcast(host_buffer(f), owner);
    EXPECT_EQ(e, f);
  }
}

TEST_F(Nccl, SumsInTheOrderOfTheMpiBackendBitForBit) {
  auto nccl = backend();
  MpiBackend mpi(host);
  const auto on_host = [](std::vector<float>& x, std::size_t from, std::size_t count) {
    Buffer b;
    b.data = x.data() + from, b.count = count;
    return b;
  };
  const auto P = static_cast<std::size_t>(host.size()), me = static_cast<std::size_t>(host.rank());
  for (const auto wire : {Wire::f32, Wire::bf16})
    for (const std::size_t n : {1U, 3U, 5000U, 70001U}) {
      auto a = values(n), b = values(n);
      nccl.all_reduce_sum_tree(of(a), wire), mpi.all_reduce_sum_tree(on_host(b, 0, n), wire);
      EXPECT_EQ(a, b) << n;
      auto c = values(n * P), d = values(n * P);
      Buffer mine = of(c);
      mine.data = c.data() + me * n, mine.count = n;
      nccl.reduce_scatter_sum_tree(of(c), mine, wire);
      mpi.reduce_scatter_sum_tree(on_host(d, 0, n * P), on_host(d, me * n, n), wire);
      EXPECT_TRUE(std::equal(c.data() + me * n, c.data() + (me + 1) * n, d.data() + me * n)) << n;
    }
}

TEST_F(Nccl, PiecesTravelOnceThereAndOnceBack) {
  auto nccl = backend();
  auto x = values(1000);
  fake::state().calls.clear();
  nccl.all_reduce_sum_tree(of(x), Wire::bf16);
  std::size_t sent = 0, shared = 0;
  const void* own = nullptr;
  for (const auto& call : fake::state().calls) {
    if (call.name == "ncclSend") sent += call.count, own = call.stream;
    if (call.name == "ncclBroadcast") shared += call.count;
  }
  EXPECT_EQ(sent, 1000U);
  EXPECT_EQ(shared, 1000U);
  for (const auto& call : fake::state().calls)
    if (call.name == "kernel") {
      EXPECT_EQ(call.stream, own) << "kernels are on the stream of the sends";
    }
}

TEST_F(Nccl, AsynchronousErrorAbortsAndNamesTheOperation) {
  {
    auto nccl = backend();
    auto x = values(10);
    fake::state().fail_at_collective = 2;
    nccl.all_reduce_mean(of(x));
    try {
      nccl.all_reduce_mean(of(x));
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.fault(), Fault::comm);
      EXPECT_NE(std::string(e.what()).find("all-reduce of 10 elements (operation 2)"), std::string::npos)
          << e.what();
    }
  }
  EXPECT_EQ(fake::state().aborted, 1);
  EXPECT_EQ(fake::state().destroyed, 0);
}

TEST_F(Nccl, CollectiveThatHangsIsAnErrorAfterTheDeadline) {
  auto nccl = backend(0.05);
  auto x = values(10);
  fake::state().hang_at_collective = true;
  EXPECT_THROW(nccl.all_reduce_mean(of(x)), Error);
}

/// What a watch says, if it says something within `seconds`.
class NcclWatching : public testing::Test {
 protected:
  void SetUp() override {
    fake::reset();
    fake::state().reported = ncclSuccess;
  }
  NcclWatch::GiveUp listen() {
    return [this](const std::string& message) { said_.set_value(message); };
  }
  std::string heard(double seconds) {
    return message_.wait_for(std::chrono::duration<double>(seconds)) == std::future_status::ready
               ? message_.get()
               : "";
  }
  std::promise<std::string> said_;
  std::future<std::string> message_ = said_.get_future();
};

TEST_F(Nccl, RecordedCollectivesCountWhenTheirGraphStarts) {
  auto nccl = backend();
  auto x = values(10);
  nccl.all_reduce_mean(of(x));
  nccl.begin_recording();
  for (int i = 0; i < 3; ++i) nccl.all_reduce_mean(of(x));
  nccl.wait(reinterpret_cast<void*>(0x42));
  EXPECT_EQ(nccl.end_recording(), 3);
  EXPECT_EQ(fake::state().calls.back().stream, reinterpret_cast<void*>(0x42)) << "our stream joins again";
  fake::state().calls.clear();
  nccl.replayed(3, reinterpret_cast<void*>(0x42));
  nccl.replayed(0, reinterpret_cast<void*>(0x42));
  const auto calls = fake::state().calls;
  ASSERT_EQ(fake::names(), (std::vector<std::string>{"cudaEventRecord", "cudaStreamWaitEvent"}));
  EXPECT_EQ(calls[0].stream, reinterpret_cast<void*>(0x42)) << "behind the graph";
  EXPECT_EQ(calls[0].event, calls[1].event);
  nccl.all_reduce_mean(of(x));
  EXPECT_EQ(calls[1].stream, fake::state().calls.back().stream) << "later collectives come after it";
  fake::state().fail_at_collective = 1;
  try {
    nccl.all_reduce_mean(of(x));
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("(operation 6)"), std::string::npos) << e.what();
  }
}

/// One operation after the other is put on the stream; the device follows as the test says.
void start(NcclWatch& watch, std::int64_t number, const std::string& what = "all-reduce of 10 elements") {
  watch.begin(number, what);
  watch.end();
}

TEST_F(NcclWatching, SaysNothingWhileOperationsComeAndGo) {
  NcclWatch watch(nullptr, 0, nullptr, 0.3, listen());
  fake::state().stream_state = cudaErrorNotReady;  // there is always one under way, but always another
  for (int i = 1; i <= 60; ++i) {
    fake::state().reached = 2 * i - 1;
    start(watch, i);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  fake::state().reached = 120;  // and now there is nothing to wait for
  EXPECT_EQ(heard(0.6), "");
}

TEST_F(NcclWatching, NamesTheOperationThatDoesNotEnd) {
  NcclWatch watch(nullptr, 0, nullptr, 0.2, listen());
  fake::state().stream_state = cudaErrorNotReady;
  fake::state().reached = 3;  // begun and ended: 40; begun: 41
  for (int i = 40; i <= 44; ++i) start(watch, i, "all-reduce of " + std::to_string(i) + "00 elements");
  const auto message = heard(20);
  EXPECT_NE(message.find("NCCL operation 41, all-reduce of 4100 elements, has waited 0."), std::string::npos)
      << message;
  EXPECT_NE(message.find("parallel.timeout_s = 0.2"), std::string::npos) << message;
}

/// A step may take longer than the limit: operations wait for gradients of this rank, not for others.
TEST_F(NcclWatching, WhatThisRankComputesBeforeAnOperationDoesNotCount) {
  NcclWatch watch(nullptr, 0, nullptr, 0.2, listen());
  fake::state().stream_state = cudaErrorNotReady;
  fake::state().reached = 0;
  start(watch, 1), start(watch, 2);
  EXPECT_EQ(heard(0.8), "") << "the first has not begun";
  fake::state().reached = 2;
  EXPECT_EQ(heard(0.8), "") << "the first has ended, the second not begun";
  fake::state().reached = 3;
  EXPECT_NE(heard(20).find("NCCL operation 2, "), std::string::npos);
}

TEST_F(NcclWatching, EventsAreUsedAgain) {
  NcclWatch watch(nullptr, 0, nullptr, 300, listen());
  for (int i = 1; i <= 50; ++i) start(watch, i);
  std::vector<const void*> events;
  for (const auto& call : fake::state().calls)
    if (call.name == "cudaEventRecord") events.push_back(call.event);
  ASSERT_EQ(events.size(), 100U);
  std::ranges::sort(events);
  EXPECT_LE(std::ranges::unique(events).begin() - events.begin(), 4)
      << "each has ended before the next begins";
}

TEST_F(Nccl, TheWatchSeesWhereAnOperationCouldBeginAndWhereItEnds) {
  auto nccl = backend();
  nccl.watch([](const std::string&) {});
  auto x = values(10);
  fake::state().moves_nothing = true;
  fake::state().calls.clear();
  nccl.all_reduce_mean(of(x));
  const auto& calls = fake::state().calls;
  ASSERT_EQ(fake::names(),
            (std::vector<std::string>{"cudaEventRecord", "cudaStreamWaitEvent", "cudaEventRecord",
                                      "ncclAllReduce avg", "cudaEventRecord"}))
      << "begun: behind the wait for the producer";
  EXPECT_EQ(calls[2].stream, calls[3].stream);
  EXPECT_EQ(calls[4].stream, calls[3].stream);
}

TEST_F(NcclWatching, PassesOnWhatTheCommunicatorReports) {
  NcclWatch watch(nullptr, 0, nullptr, 300, listen());
  start(watch, 7, "broadcast of 5 elements");
  fake::state().reported = ncclRemoteError;
  const auto message = heard(20);
  EXPECT_NE(message.find("operation 7"), std::string::npos) << message;
  EXPECT_NE(message.find("ordered by the test"), std::string::npos) << message;
}

TEST_F(NcclWatching, PassesOnAnErrorOfTheDevice) {
  NcclWatch watch(nullptr, 0, nullptr, 300, listen());
  fake::state().stream_state = cudaErrorIllegalAddress;
  EXPECT_NE(heard(20).find("fake"), std::string::npos);
}

/// As where the driver is locked by a launch that waits for room behind a collective that never ends.
TEST_F(NcclWatching, SaysSomethingEvenWhenTheDriverKeepsItWaiting) {
  {
    NcclWatch watch(nullptr, 0, nullptr, 0.2, listen());
    start(watch, 5);
    EXPECT_EQ(heard(0.6), "");
    fake::state().reached = 0;
    start(watch, 6);
    fake::state().holds_queries = true;
    const auto message = heard(20);
    fake::state().holds_queries = false;
    EXPECT_NE(message.find("driver of the GPU has not answered for 0."), std::string::npos) << message;
    EXPECT_NE(message.find("operation 6 the last one started"), std::string::npos) << message;
    fake::state().reported = ncclRemoteError;  // too late: it has been said
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

TEST_F(NcclWatching, AsksNothingWhileAGraphIsRecorded) {
  const auto host = HostComm::world();
  NcclBackend nccl(host, 3, 0.2);
  nccl.watch(listen());
  nccl.begin_recording();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // a look that had begun is over
  const int before = fake::state().queries;
  fake::state().stream_state = cudaErrorStreamCaptureUnsupported;
  EXPECT_EQ(heard(0.5), "");
  EXPECT_EQ(fake::state().queries, before);
  fake::state().stream_state = cudaErrorNotReady;  // the graph does not end
  fake::state().reached = fake::state().recordings + 1;
  EXPECT_EQ(nccl.end_recording(), 0);
  nccl.replayed(12, nullptr);
  const auto message = heard(20);
  EXPECT_NE(message.find("operation 12, of the 12 in a recorded micro-step"), std::string::npos) << message;
}

TEST_F(NcclWatching, BackendTellsItsWatchEachOperation) {
  const auto host = HostComm::world();
  NcclBackend nccl(host, 3, 0.3);
  nccl.watch(listen());
  std::vector<float> x(10);
  Buffer b;
  b.data = x.data(), b.count = x.size(), b.place = Place::cuda;
  nccl.all_reduce_mean(b);
  fake::state().stream_state = cudaErrorNotReady;
  fake::state().reached = fake::state().recordings + 2;  // waited for the producer, and begun
  nccl.all_reduce_mean(b);
  const auto message = heard(20);
  EXPECT_NE(message.find("operation 2, all-reduce of 10 elements, has waited"), std::string::npos) << message;
}

}  // namespace weightscope
