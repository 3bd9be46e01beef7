#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/weight_slice.hpp"
#include "monitor/summary.hpp"

namespace weightscope {

/// Measures one set of slices in the memory of a GPU (the current device) again and again, beside the
/// training. Everything that a measurement needs is made once. The host waits for nothing in start(), and the
/// stream of the training for nothing but wait_before_writing(). One thread at a time. Integers are those of
/// measure() on the CPU, moments agree with its to 1e-12. `initial` in device or pinned memory is read in
/// place; of any other the device keeps a copy. In device_meter_stub.cpp, without CUDA support:
/// Error{internal}.
class DeviceMeter {
 public:
  /// depth: how many measurements may be under way at once.
  explicit DeviceMeter(std::span<const WeightSlice> slices, int depth = 2);
  DeviceMeter(DeviceMeter&&) noexcept;
  DeviceMeter& operator=(DeviceMeter&&) noexcept;
  ~DeviceMeter();

  /// Measures the slices as everything that their streams have been given so far leaves them. Not while
  /// `depth` measurements are under way, and not while one of the streams records a graph.
  void start();
  /// From here on `stream` waits until the weights have been read: to be called before the next update is put
  /// on it, outside of a graph.
  void wait_before_writing(void* stream) const;

  int under_way() const;
  bool ready() const;  ///< finish() would not wait
  /// The oldest measurement under way, one for each slice; valid until the next call.
  std::span<const Measurement> finish();

  /// Device memory that a meter of these slices takes.
  static std::size_t device_bytes(std::span<const WeightSlice> slices, int depth = 2);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// One measurement, after everything that the slices' streams have been given; the host waits.
std::vector<Measurement> measure_on_device(std::span<const WeightSlice> slices);
std::vector<std::uint64_t> digests_on_device(std::span<const WeightSlice> slices);

}  // namespace weightscope
