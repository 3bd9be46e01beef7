#include "model/memory_plan.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <numeric>
#include <set>

#include "model/device.hpp"
#include "monitor/summary.hpp"
#include "ops/ops.hpp"

namespace weightscope {
namespace {

/// What the libraries take once they are used, measured on models from 0.1 to 100 million parameters: HDF5's
/// caches, packing buffers of the GEMMs and MPI's queues.
constexpr std::int64_t kLibraries = std::int64_t{16} << 20;

/// GradientExchange::gathered() has the gradients' memory for the first moments and takes its own for these.
constexpr const char* kGatheredMoments = "second moments of all ranks, for a checkpoint or a measured update";

std::int64_t bytes_of(const at::Tensor& t, std::set<const void*>& seen) {
  if (!t.defined() || !seen.insert(t.unsafeGetTensorImpl()).second) return 0;
  return t.numel() * static_cast<std::int64_t>(t.element_size());
}

/// Plans on the meta device: the same code that allocates, without the memory.
std::int64_t activation_bytes(const ModelConfig& m, Types types, std::int64_t rows, bool recompute,
                              Place place, std::int64_t& head) {
  Activations a =
      plan_activations(m, types, DevicePlace{Place::meta, 0}, rows, Purpose::training, recompute, place);
  std::set<const void*> seen;
  head = bytes_of(a.logits_RV, seen);
  std::int64_t sum = 0;
  for (auto& b : a.blocks)
    for (auto* t :
         {&b.input_RC, &b.ln_1_RC, &b.mean_1_R, &b.rstd_1_R, &b.qkv_R3C, &b.attention_RC, &b.lse_BHT,
          &b.middle_RC, &b.ln_2_RC, &b.mean_2_R, &b.rstd_2_R, &b.hidden_R4C, &b.gelu_R4C, &b.raw_R2C})
      sum += bytes_of(*t, seen);
  for (auto* t : {&a.output_RC, &a.ln_f_RC, &a.mean_f_R, &a.rstd_f_R, &a.branch_RC, &a.d_residual_RC,
                  &a.d_branch_RC, &a.d_narrow_RC, &a.d_wide_R4C, &a.half_scratch})
    sum += bytes_of(*t, seen);
  return sum;
}

/// A matrix in double, its Gram matrix, what LAPACK makes of it and its workspace.
std::int64_t spectra_bytes(const ModelConfig& m) {
  const std::int64_t C = m.width, widest = std::max<std::int64_t>(3, m.mlp_ratio) * C;
  return static_cast<std::int64_t>(sizeof(double)) * (widest * C + 3 * C * C);
}

/// What cuDNN keeps of attention's backward pass to add up dq in a fixed order: dP of all heads, T rounded up
/// to tiles (cudnn_frontend, scaled_dot_product_flash_attention.h).
std::int64_t fixed_order_bytes(const RunConfig& c) {
  constexpr std::int64_t kTile = 64;
  if (c.parallel.reduction != Reduction::reproducible || c.train.precision != Precision::bf16) return 0;
  const std::int64_t T = (c.model.block + kTile - 1) / kTile * kTile;
  return 2 * c.train.micro_batch * c.model.heads * T * T;
}

/// What ops::reference::adamw, which updates where sums have a fixed order, takes of the largest tensor when
/// it measures how far it moved: four times as many floats, and twice as many doubles.
std::int64_t reference_update_bytes(const RunConfig& c) {
  if (c.parallel.reduction != Reduction::reproducible) return 0;
  std::int64_t largest = 0;
  for (const auto& p : parameter_table(c.model)) largest = std::max(largest, p.storage);
  return (4 * 4 + 2 * 8) * largest;
}

/// Device memory of one GPU.
std::vector<PlannedBytes> plan_gpu(const RunConfig& c, int world) {
  const auto types = types_of(c.train.precision);
  const std::int64_t n = flat_size(parameter_table(c.model), world),
                     rows = c.train.micro_batch * c.model.block;
  std::int64_t head = 0;
  const std::int64_t activations =
      activation_bytes(c.model, types, rows, c.train.recompute, Place::cuda, head);
  // cuDNN keeps the gradient of q in float32 while it adds it up; cuBLAS has 64 MiB.
  const std::int64_t workspace = 2 * 4 * rows * c.model.width + (std::int64_t{64} << 20);
  return {{"weights, float32", 4 * n},
          {"weights, bf16 copy", types.mixed() ? 2 * n : 0},
          {"gradients", 4 * n},
          {"AdamW moments", 8 * n / (c.parallel.zero == 1 ? world : 1)},
          {"partial gradients of the fixed summation tree", 4 * n * tree_buffers(c, world)},
          {"activations", activations},
          {"logits", head},
          {"workspace of cuBLAS and cuDNN", workspace},
          {"attention's gradients added in a fixed order", fixed_order_bytes(c)},
          {"initial weights, for displacement", c.monitor.displacement ? 4 * n : 0},
          {"update of the largest tensor, in a fixed order", reference_update_bytes(c)},
          {kGatheredMoments, c.parallel.zero == 1 && world > 1 ? 4 * n : 0},
          {"batches", 2 * 2 * 8 * c.train.global_batch / world * c.model.block}};
}

std::vector<PlannedBytes> without_zeros(std::vector<PlannedBytes> plan) {
  std::erase_if(plan, [](const auto& line) { return line.bytes == 0; });
  return plan;
}

}  // namespace

bool plans_for_gpu(const RunConfig& c) {
  if (c.train.device == Device::cuda || c.parallel.backend == BackendChoice::nccl) return true;
  return c.train.device == Device::automatic && c.parallel.backend == BackendChoice::automatic &&
         cuda_devices() > 0;
}

bool saves_beside_training(const RunConfig& c) {
  return c.checkpoint.asynchronous && c.checkpoint.every > 0 && c.checkpoint.every < c.train.steps;
}

int tree_buffers(const RunConfig& c, int world) {
  if (c.parallel.reduction != Reduction::reproducible) return 0;
  const auto local = static_cast<std::uint64_t>(c.train.global_batch / (c.train.micro_batch * world));
  return static_cast<int>(std::bit_width(local)) - 1;
}

std::vector<PlannedBytes> plan_memory(const RunConfig& c, int world) {
  if (plans_for_gpu(c)) return without_zeros(plan_gpu(c, world));
  const auto types = types_of(c.train.precision);
  const auto table = parameter_table(c.model);
  const std::int64_t n = flat_size(table, world), rows = c.train.micro_batch * c.model.block;
  std::int64_t head = 0;
  const std::int64_t activations =
      activation_bytes(c.model, types, rows, c.train.recompute, Place::host, head);
  // As if all ranks were on one node: then each also maps its part of the other ranks' gradients.
  const bool shared = world > 1 && c.parallel.shared_memory != SharedMemory::off;
  return without_zeros(
      {{shared ? "weights, float32, shared by the node" : "weights, float32", 4 * n},
       {shared ? "weights, bf16 copy, shared by the node" : "weights, bf16 copy", types.mixed() ? 2 * n : 0},
       {"gradients", 4 * n},
       {"gradients of the other ranks, this rank's part", shared ? 4 * n * (world - 1) / world : 0},
       {"AdamW moments", 8 * n / (shared || c.parallel.zero == 1 ? world : 1)},
       {"partial gradients of the fixed summation tree", 4 * n * tree_buffers(c, world)},
       {"activations", activations},
       {"logits", head},
       {"probe", c.monitor.probe_every > 0
                     ? ops::attention_logits_bytes(c.model.block, c.model.heads, c.model.width)
                     : 0},
       {"attention workspace", 8 * 4 * std::int64_t{c.model.block} * (c.model.width / c.model.heads)},
       {"spectra", c.monitor.spectra_every > 0 ? spectra_bytes(c.model) : 0},
       {"batches", 2 * 2 * 8 * c.train.global_batch / world * c.model.block},
       {"initial weights, mapped for displacement", c.monitor.displacement ? 4 * n / world : 0},
       {"weights before an update that is measured, this rank's part",
        c.monitor.gradients ? 4 * n / world : 0},
       {kGatheredMoments, c.parallel.zero == 1 && !shared && world > 1 ? 4 * n : 0},
       {"snapshots", 2 * snapshot_bytes(c)},
       {"copy of the state while it is written, rank 0", saves_beside_training(c) ? 12 * n : 0},
       {"libraries", kLibraries}});
}

std::int64_t total_bytes(const std::vector<PlannedBytes>& plan) {
  return std::accumulate(plan.begin(), plan.end(), std::int64_t{0},
                         [](auto sum, const auto& line) { return sum + line.bytes; });
}

std::int64_t checkpoint_bytes(const RunConfig& c) {
  std::int64_t n = 0;
  for (const auto& p : parameter_table(c.model)) n += p.numel();
  return 12 * n;
}

std::int64_t snapshot_bytes(const RunConfig& c) {
  const auto slices = static_cast<std::int64_t>(c.model.layers) * (7 + 3 * c.model.heads) +
                      static_cast<std::int64_t>(parameter_table(c.model).size());
  return slices * static_cast<std::int64_t>(sizeof(Measurement)) * (c.monitor.gradients ? 2 : 1);
}

}  // namespace weightscope
