#include "monitor/device_meter.hpp"

#include <set>

#include "monitor/cuda/cuda_resources.hpp"
#include "monitor/cuda/device_tile.hpp"
#include "monitor/tiles.hpp"

namespace weightscope {
namespace {

/// The device's view of memory that it can read in place, or null.
const float* readable(const float* initial) {
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, initial) != cudaSuccess) return cudaGetLastError(), nullptr;
  return attributes.type == cudaMemoryTypeUnregistered ? nullptr
                                                       : static_cast<const float*>(attributes.devicePointer);
}

bool to_be_copied(const WeightSlice& s) {
  return s.initial != nullptr && s.weights.count > 0 && readable(s.initial) == nullptr;
}

/// Each copy begins at a multiple of 16 bytes.
std::size_t room(const WeightSlice& s) { return (s.weights.count + 3) / 4 * 4; }

std::size_t copied_elements(std::span<const WeightSlice> slices) {
  std::size_t n = 0;
  for (const auto& s : slices)
    if (to_be_copied(s)) n += room(s);
  return n;
}

/// Results of one measurement as they travel: counters of the rows, then statistics of the tiles.
std::size_t counter_bytes(const TilePlan& plan) {
  return (plan.rows() * kSlots * sizeof(std::uint32_t) + 15) / 16 * 16;
}
std::size_t result_bytes(const TilePlan& plan) {
  return counter_bytes(plan) + plan.tiles.size() * sizeof(BlockStats);
}

/// One measurement under way.
struct Pending {
  cuda::DeviceArray<std::byte> device;
  cuda::PinnedArray<std::byte> host;
  cuda::Event read = cuda::make_event(), done = cuda::make_event();
};

std::vector<DeviceTile> device_tiles(std::span<const WeightSlice> slices, const TilePlan& plan,
                                     const std::vector<const float*>& initial) {
  std::vector<DeviceTile> tiles;
  for (const auto& t : plan.tiles)
    tiles.push_back({static_cast<const float*>(slices[t.slice].weights.data) + t.offset,
                     initial[t.slice] == nullptr ? nullptr : initial[t.slice] + t.offset, t.offset,
                     static_cast<std::uint32_t>(t.count), static_cast<std::uint32_t>(t.row)});
  return tiles;
}

std::vector<void*> producers_of(std::span<const WeightSlice> slices) {
  std::set<void*> streams;
  for (const auto& s : slices) streams.insert(s.weights.stream);
  return {streams.begin(), streams.end()};
}

}  // namespace

struct DeviceMeter::Impl {
  Impl(std::span<const WeightSlice> slices, int depth)
      : plan(slices), producers(producers_of(slices)), ring(static_cast<std::size_t>(depth)) {
    const auto copies = copied_elements(slices);
    if (copies > 0) initial = cuda::device_array<float>(copies);
    std::vector<const float*> from(slices.size());
    float* next = initial.get();
    for (std::size_t i = 0; i < slices.size(); ++i) {
      const auto& s = slices[i];
      moved = moved || s.initial != nullptr;
      from[i] = s.initial == nullptr ? nullptr : readable(s.initial);
      if (!to_be_copied(s)) continue;
      cuda::check(cudaMemcpy(next, s.initial, s.weights.bytes(), cudaMemcpyHostToDevice), "cudaMemcpy");
      from[i] = next, next += room(s);
    }
    const auto table = device_tiles(slices, plan, from);
    if (table.empty()) return;
    tiles = cuda::on_device(std::span<const DeviceTile>(table));
    for (auto& pending : ring)
      pending.device = cuda::device_array<std::byte>(result_bytes(plan)),
      pending.host = cuda::pinned_array<std::byte>(result_bytes(plan));
  }
  ~Impl() { cudaStreamSynchronize(stream.get()); }
  Impl(const Impl&) = delete;

  Pending& pending(std::size_t number) { return ring[number % ring.size()]; }

  TilePlan plan;
  std::vector<void*> producers;
  bool moved = false;
  cuda::DeviceArray<float> initial;
  cuda::DeviceArray<DeviceTile> tiles;
  std::vector<Pending> ring;
  std::vector<Measurement> measured;
  cuda::Event producer = cuda::make_event();
  std::size_t started = 0, finished = 0;
  cuda::Stream stream = cuda::make_stream();
};

DeviceMeter::DeviceMeter(std::span<const WeightSlice> slices, int depth)
    : impl_(std::make_unique<Impl>(slices, depth)) {}
DeviceMeter::DeviceMeter(DeviceMeter&&) noexcept = default;
DeviceMeter& DeviceMeter::operator=(DeviceMeter&&) noexcept = default;
DeviceMeter::~DeviceMeter() = default;

int DeviceMeter::under_way() const { return static_cast<int>(impl_->started - impl_->finished); }

void DeviceMeter::start() {
  require(impl_->started - impl_->finished < impl_->ring.size(), Fault::internal,
          "a measurement was started on the GPU before an earlier one was finished");
  auto& pending = impl_->pending(impl_->started++);
  if (impl_->plan.tiles.empty()) return;
  auto* const stream = impl_->stream.get();
  for (void* producer : impl_->producers)
    cuda::order(static_cast<cudaStream_t>(producer), stream, impl_->producer);
  const auto counters = counter_bytes(impl_->plan);
  cuda::check(cudaMemsetAsync(pending.device.get(), 0, counters, stream), "cudaMemsetAsync");
  cuda::check(launch_tile_stats(impl_->tiles.get(), impl_->plan.tiles.size(), impl_->moved,
                                reinterpret_cast<BlockStats*>(pending.device.get() + counters),
                                reinterpret_cast<std::uint32_t*>(pending.device.get()), stream),
              "tile_stats");
  cuda::check(cudaEventRecord(pending.read.get(), stream), "cudaEventRecord");
  cuda::check(cudaMemcpyAsync(pending.host.get(), pending.device.get(), result_bytes(impl_->plan),
                              cudaMemcpyDeviceToHost, stream),
              "cudaMemcpyAsync");
  cuda::check(cudaEventRecord(pending.done.get(), stream), "cudaEventRecord");
}

void DeviceMeter::wait_before_writing(void* stream) const {
  if (impl_->started == 0) return;
  const auto& latest = impl_->pending(impl_->started - 1);
  cuda::check(cudaStreamWaitEvent(static_cast<cudaStream_t>(stream), latest.read.get(), 0),
              "cudaStreamWaitEvent");
}

bool DeviceMeter::ready() const {
  const int status = cudaEventQuery(impl_->pending(impl_->finished).done.get());
  if (status != cudaErrorNotReady) cuda::check(status, "cudaEventQuery");
  return status == cudaSuccess;
}

std::span<const Measurement> DeviceMeter::finish() {
  require(under_way() > 0, Fault::internal, "no measurement was started on the GPU");
  auto& pending = impl_->pending(impl_->finished++);
  cuda::check(cudaEventSynchronize(pending.done.get()), "cudaEventSynchronize");
  const auto& plan = impl_->plan;
  const auto* results = pending.host.get();
  plan.combine({reinterpret_cast<const BlockStats*>(results + counter_bytes(plan)), plan.tiles.size()},
               {reinterpret_cast<const std::uint32_t*>(results), plan.rows() * kSlots}, impl_->measured);
  return impl_->measured;
}

std::size_t DeviceMeter::device_bytes(std::span<const WeightSlice> slices, int depth) {
  const TilePlan plan(slices);
  return copied_elements(slices) * sizeof(float) + plan.tiles.size() * sizeof(DeviceTile) +
         static_cast<std::size_t>(depth) * result_bytes(plan);
}

std::vector<Measurement> measure_on_device(std::span<const WeightSlice> slices) {
  DeviceMeter meter(slices, 1);
  meter.start();
  const auto measured = meter.finish();
  return {measured.begin(), measured.end()};
}

std::vector<std::uint64_t> digests_on_device(std::span<const WeightSlice> slices) {
  const TilePlan plan(slices);
  std::vector<std::uint64_t> sums(slices.size());
  if (plan.tiles.empty()) return sums;
  const auto stream = cuda::make_stream();
  const auto event = cuda::make_event();
  for (void* producer : producers_of(slices))
    cuda::order(static_cast<cudaStream_t>(producer), stream.get(), event);
  const auto table = device_tiles(slices, plan, std::vector<const float*>(slices.size(), nullptr));
  const auto tiles = cuda::on_device(std::span<const DeviceTile>(table));
  const auto rows = cuda::device_array<unsigned long long>(plan.rows());
  cuda::check(cudaMemsetAsync(rows.get(), 0, plan.rows() * 8, stream.get()), "cudaMemsetAsync");
  cuda::check(launch_digests(tiles.get(), table.size(), rows.get(), stream.get()), "digests");
  std::vector<std::uint64_t> of_rows(plan.rows());
  cuda::check(
      cudaMemcpyAsync(of_rows.data(), rows.get(), plan.rows() * 8, cudaMemcpyDeviceToHost, stream.get()),
      "cudaMemcpyAsync");
  cuda::check(cudaStreamSynchronize(stream.get()), "cudaStreamSynchronize");
  for (std::size_t r = 0; r < plan.rows(); ++r) sums[plan.row_slices[r]] += of_rows[r];
  return sums;
}

}  // namespace weightscope
