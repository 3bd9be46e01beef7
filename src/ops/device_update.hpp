#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace weightscope::ops {

/// A parameter in the flat buffers, elements [begin, end).
struct FlatPart {
  std::int64_t begin = 0, end = 0;
  double weight_decay = 0;
  double step_scale = 1;  ///< as in AdamW
};

/// The end of a training step on a GPU, without the host: whether and how much to clip is decided there, all
/// parameters are updated in one launch, and nothing is read back before somebody asks. When loss or norm are
/// not finite the weights stay as they are. In a build without CUDA the constructor throws.
class DeviceUpdate {
 public:
  struct Settings {
    double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
    double clip = 1;    ///< 0: none
    double tokens = 1;  ///< of the global batch
  };
  struct Outcome {
    double loss = 0;            ///< mean per token
    double grad_norm = 0;       ///< before clipping
    std::vector<double> moved;  ///< Σ (Δw)² per part, when measured
  };
  /// Parts outside [first, end) are cut; flat buffers on the device of `like`.
  DeviceUpdate(const std::vector<FlatPart>& parts, std::int64_t first, std::int64_t end,
               const Settings& settings, const at::Tensor& like);
  ~DeviceUpdate();
  DeviceUpdate(const DeviceUpdate&) = delete;
  DeviceUpdate& operator=(const DeviceUpdate&) = delete;

  /// What differs from step to step, on its way to the device: `step` from 1. Before run().
  void set(std::int64_t step, double lr);
  /// Enqueues the update. w, g and work (may be undefined) are whole flat buffers, m and v those of
  /// [first, end). loss_sum, squares: [1] f64, over the global batch. May be captured in a graph.
  void run(const at::Tensor& w, const at::Tensor& g, const at::Tensor& m, const at::Tensor& v,
           const at::Tensor& work, const at::Tensor& loss_sum, const at::Tensor& squares, bool measure);
  /// Starts to bring the outcome of the last run to the host, into slot step % 2.
  void send_back(std::int64_t step, bool measured);
  /// Waits for it.
  Outcome outcome(std::int64_t step) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weightscope::ops
