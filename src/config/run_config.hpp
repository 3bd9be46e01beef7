#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "alarms/rules.hpp"
#include "init/schemes.hpp"

namespace weightscope {

enum class Activation { gelu_tanh, gelu };
enum class Precision { fp32, bf16 };
enum class Device { automatic, cpu, cuda };
enum class SampleOrder { shuffled, sequential };
enum class ScheduleName { cosine, linear, constant, wsd };
enum class OptimizerName { adamw };
enum class BackendChoice { automatic, mpi, nccl };
enum class Reduction { fast, reproducible };
enum class GemmPolicy { automatic, aten, torch_onednn, widened };
enum class Graphs { local, all, off };
enum class SharedMemory { automatic, memfd, window, off };
enum class Early { log2, none };
enum class OnNonfinite { stop, skip, rollback };
enum class OnDivergence { stop, repair };
enum class OnWriteError { proceed, abort };

struct ModelConfig {
  int layers = 12, heads = 12, width = 768, block = 1024, vocab = 50257, mlp_ratio = 4;
  double dropout = 0;
  bool bias = true, tied = true, qk_norm = false;
  Activation activation = Activation::gelu_tanh;
  /// Of the maximal update parametrization: 0, and everything is as it is written elsewhere.
  int mup_base_width = 0, mup_base_head_width = 0;
};
struct InitRule {
  std::string match;  ///< glob over parameter names: "h.*.attn.c_proj.weight"
  InitScheme scheme = InitScheme::normal;
  double std = 0.02;
};
struct InitConfig {
  InitScheme scheme = InitScheme::article;
  double std = 0.02;
  std::vector<InitRule> rules;
  std::string from;  ///< checkpoint or Hugging Face model directory to start from; "" = initialize
};
struct DataConfig {
  std::string train, val;
  SampleOrder order = SampleOrder::shuffled;
};
struct TrainConfig {
  std::int64_t steps = 600, global_batch = 32, micro_batch = 16;
  Precision precision = Precision::fp32;
  Device device = Device::automatic;
  double grad_clip = 1.0;  ///< 0 = no clipping
  double max_seconds = 0;  ///< 0 = no limit
  OnNonfinite nonfinite = OnNonfinite::stop;
  OnWriteError write_errors = OnWriteError::proceed;
  bool recompute = false;
  Graphs cuda_graphs = Graphs::local;
  GemmPolicy gemm = GemmPolicy::automatic;
};
struct OptimizerConfig {
  OptimizerName name = OptimizerName::adamw;
  double lr = 6e-4, beta1 = 0.9, beta2 = 0.95, eps = 1e-8, weight_decay = 0.1;
};
struct ScheduleConfig {
  ScheduleName name = ScheduleName::cosine;
  std::int64_t warmup_steps = 0;
  double min_ratio = 0.1, decay_fraction = 0.2;  ///< decay_fraction: the last part of a wsd schedule
};
struct ParallelConfig {
  BackendChoice backend = BackendChoice::automatic;
  double bucket_mb = 25;
  Reduction reduction = Reduction::fast;
  SharedMemory shared_memory = SharedMemory::automatic;
  Precision transport = Precision::fp32;
  int zero = 0;
  bool registered_buffers = false;
  double timeout_s = 300;
};
/// `every: 50` counts steps; `every: {epochs: 50}` counts epochs (then `steps` is 0).
struct Cadence {
  std::int64_t steps = 50;
  double epochs = 0;
};
struct MonitorConfig {
  Cadence every;
  Early early = Early::log2;
  bool heads = true, head_histograms = false, displacement = true, gradients = false;
  std::int64_t spectra_every = 0, probe_every = 0, probe_blocks = 8, replicas_every = 50;
  OnDivergence replicas = OnDivergence::stop;
  std::vector<AlarmSetting> alarms = default_alarms();
};
struct EvalConfig {
  std::int64_t every = 100, batches = 20;
};
struct CheckpointConfig {
  std::int64_t every = 200, keep = 2, keep_every = 0;
  bool asynchronous = true;
};

/// A run, whole: every key of the YAML file, defaults filled in. Member names are the keys.
struct RunConfig {
  std::string name = "run";
  std::uint64_t seed = 1337;
  std::string output = "runs/${name}";
  ModelConfig model;
  InitConfig init;
  DataConfig data;
  TrainConfig train;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  ParallelConfig parallel;
  MonitorConfig monitor;
  EvalConfig eval;
  CheckpointConfig checkpoint;
};

}  // namespace weightscope
