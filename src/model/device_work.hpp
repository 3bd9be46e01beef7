#pragma once
// device_cuda.cpp, or device_cpu.cpp, where nothing of it can be used.
#include <ATen/core/Tensor.h>

#include <memory>

namespace weightscope {

/// Work of the current stream, recorded once and started as a whole from then on. What is recorded must write
/// to memory that stays where it is.
class DeviceGraph {
 public:
  DeviceGraph();
  ~DeviceGraph();
  DeviceGraph(DeviceGraph&&) noexcept;
  bool ready() const;  ///< recorded
  void begin();        ///< from here on work is recorded, not done
  void end();
  void abandon();  ///< whatever state it is in: nothing is recorded any more, and nothing kept
  void replay();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Copies from pinned host memory that run beside the current stream.
class CopyStream {
 public:
  CopyStream();
  ~CopyStream();
  CopyStream(CopyStream&&) noexcept;
  void copy(at::Tensor to, const at::Tensor& from);
  void join();  ///< what the current stream does next comes after all copies so far

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weightscope
