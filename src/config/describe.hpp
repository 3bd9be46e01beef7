#pragma once
// Private to config: the one list of all keys. A line names a key, its member, its limits and its meaning;
// reading, limits, unknown-key hints, the resolved file, --set and docs/config-reference.md all walk these
// lines.
#include <array>
#include <concepts>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

#include "config/run_config.hpp"

namespace weightscope {

/// Allowed numbers: low <= value <= high; `open_low` excludes low itself.
struct Limits {
  double low = -std::numeric_limits<double>::infinity(), high = std::numeric_limits<double>::infinity();
  bool open_low = false;
};
inline constexpr const char* kLargestSeed = "18446744073709551615";  ///< 2^64 − 1, which is no double
constexpr Limits at_least(double low) { return {low, std::numeric_limits<double>::infinity()}; }
constexpr Limits above(double low) { return {low, std::numeric_limits<double>::infinity(), true}; }
constexpr Limits between(double low, double high) { return {low, high}; }
constexpr Limits any() { return {}; }

/// Names of an enumeration's values as the file writes them.
template <class E>
struct EnumNames;
#define WEIGHTSCOPE_NAMES(E, n, ...)                                                     \
  template <>                                                                            \
  struct EnumNames<E> {                                                                  \
    static constexpr std::array<std::pair<E, std::string_view>, n> table{{__VA_ARGS__}}; \
  }
WEIGHTSCOPE_NAMES(Activation, 2, {Activation::gelu_tanh, "gelu_tanh"}, {Activation::gelu, "gelu"});
WEIGHTSCOPE_NAMES(Precision, 2, {Precision::fp32, "fp32"}, {Precision::bf16, "bf16"});
WEIGHTSCOPE_NAMES(Device, 3, {Device::automatic, "auto"}, {Device::cpu, "cpu"}, {Device::cuda, "cuda"});
WEIGHTSCOPE_NAMES(SampleOrder, 2, {SampleOrder::shuffled, "shuffled"},
                  {SampleOrder::sequential, "sequential"});
WEIGHTSCOPE_NAMES(ScheduleName, 4, {ScheduleName::cosine, "cosine"}, {ScheduleName::linear, "linear"},
                  {ScheduleName::constant, "constant"}, {ScheduleName::wsd, "wsd"});
WEIGHTSCOPE_NAMES(OptimizerName, 1, {OptimizerName::adamw, "adamw"});
WEIGHTSCOPE_NAMES(BackendChoice, 3, {BackendChoice::automatic, "auto"}, {BackendChoice::mpi, "mpi"},
                  {BackendChoice::nccl, "nccl"});
WEIGHTSCOPE_NAMES(Reduction, 2, {Reduction::fast, "fast"}, {Reduction::reproducible, "reproducible"});
WEIGHTSCOPE_NAMES(GemmPolicy, 4, {GemmPolicy::automatic, "auto"}, {GemmPolicy::aten, "aten"},
                  {GemmPolicy::torch_onednn, "torch-onednn"}, {GemmPolicy::widened, "widened"});
WEIGHTSCOPE_NAMES(SharedMemory, 4, {SharedMemory::automatic, "auto"}, {SharedMemory::memfd, "memfd"},
                  {SharedMemory::window, "window"}, {SharedMemory::off, "off"});
WEIGHTSCOPE_NAMES(Graphs, 3, {Graphs::local, "local"}, {Graphs::all, "all"}, {Graphs::off, "off"});
WEIGHTSCOPE_NAMES(Early, 2, {Early::log2, "log2"}, {Early::none, "none"});
WEIGHTSCOPE_NAMES(OnNonfinite, 3, {OnNonfinite::stop, "stop"}, {OnNonfinite::skip, "skip"},
                  {OnNonfinite::rollback, "rollback"});
WEIGHTSCOPE_NAMES(OnDivergence, 2, {OnDivergence::stop, "stop"}, {OnDivergence::repair, "repair"});
WEIGHTSCOPE_NAMES(OnWriteError, 2, {OnWriteError::proceed, "continue"}, {OnWriteError::abort, "abort"});
WEIGHTSCOPE_NAMES(AlarmAction, 3, {AlarmAction::record, "record"}, {AlarmAction::checkpoint, "checkpoint"},
                  {AlarmAction::stop, "stop"});
#undef WEIGHTSCOPE_NAMES
template <>
struct EnumNames<InitScheme> {
  static constexpr auto table = [] {
    std::array<std::pair<InitScheme, std::string_view>, kSchemeNames.size()> t{};
    for (std::size_t i = 0; i < t.size(); ++i) t[i] = {static_cast<InitScheme>(i), kSchemeNames[i]};
    return t;
  }();
};
template <class T>
concept NamedEnum = std::is_enum_v<T>;

template <class T, class S>
concept Is = std::same_as<std::remove_cvref_t<T>, S>;

template <class V>
void describe(Is<ModelConfig> auto& c, V& v) {
  v("layers", c.layers, between(1, 1024), "transformer blocks L");
  v("heads", c.heads, between(1, 1024), "attention heads H per block; divides width");
  v("width", c.width, between(1, 65536), "residual width C");
  v("block", c.block, between(1, 1 << 20), "context length T [tokens]");
  v("vocab", c.vocab, between(2, 65536), "vocabulary V [token ids]; token files hold 16-bit ids");
  v("mlp_ratio", c.mlp_ratio, between(1, 64), "hidden width of the MLP over C");
  v("dropout", c.dropout, between(0, 0.95),
    "probability of dropping embedding, residual and attention values");
  v("bias", c.bias, any(), "biases in Linear and LayerNorm");
  v("tied", c.tied, any(), "the head is the token embedding");
  v("activation", c.activation, any(), "GELU: gelu_tanh (GPT-2's approximation) or gelu (erf)");
  v("qk_norm", c.qk_norm, any(), "LayerNorm over the features of each head on q and k, before their product");
  v("mup_base_width", c.mup_base_width, between(0, 65536),
    "muP: width at which the model is the standard one; scales hidden learning rates and logits; 0: no muP "
    "(needs init.scheme: mup)");
  v("mup_base_head_width", c.mup_base_head_width, between(0, 65536),
    "muP: features of a head at the base width, attention logits scale with their root over C/H; 0: C/H, "
    "heads do not widen");
}
template <class V>
void describe(Is<InitRule> auto& c, V& v) {
  v("match", c.match, any(), "parameter names, * for any characters: h.*.attn.c_proj.weight");
  v("scheme", c.scheme, any(), "scheme of the tensors that match");
  v("std", c.std, between(0, 1000), "standard deviation for schemes that use one");
}
template <class V>
void describe(Is<InitConfig> auto& c, V& v) {
  v("scheme", c.scheme, any(), "how rank 0 draws the weights (table below)");
  v("std", c.std, between(0, 1000), "standard deviation for schemes that use one");
  v("rules", c.rules, any(), "list of {match, scheme, std}: exceptions by parameter name; later ones win");
  v("from", c.from, any(),
    "checkpoint, run or Hugging Face GPT-2 directory to start from instead; empty: initialize");
}
template <class V>
void describe(Is<DataConfig> auto& c, V& v) {
  v("train", c.train, any(), "token file (weightscope prepare)");
  v("val", c.val, any(), "token file for evaluation; empty: none");
  v("order", c.order, any(), "shuffled: a keyed permutation of blocks each epoch; sequential: file order");
}
template <class V>
void describe(Is<TrainConfig> auto& c, V& v) {
  v("steps", c.steps, between(1, 1e12), "updates");
  v("global_batch", c.global_batch, between(1, 1 << 24), "samples per update, over all ranks");
  v("micro_batch", c.micro_batch, between(1, 1 << 24),
    "samples per forward pass of a rank; ranks x micro_batch divides global_batch");
  v("precision", c.precision, any(),
    "fp32, or bf16 (GEMMs and activations; master weights, sums and residual stream stay fp32)");
  v("device", c.device, any(), "auto: CUDA where there is a GPU and a build for it");
  v("grad_clip", c.grad_clip, at_least(0), "largest global L2 norm of the gradient; 0: no clipping");
  v("nonfinite", c.nonfinite, any(),
    "loss or gradient not finite: stop ends the run, skip leaves out the update and goes on (at most 10 in a "
    "row), rollback computes again from the last checkpoint (once for each step)");
  v("write_errors", c.write_errors, any(),
    "disk full or failing: continue trains on, warns once and keeps trying to write; abort ends with code 5");
  v("max_seconds", c.max_seconds, at_least(0),
    "this start saves its state and ends with code 75 after so long [s]; 0: no limit but that of the Slurm "
    "job");
  v("recompute", c.recompute, any(),
    "keep only block inputs and compute the rest again in backward: less memory, about 1/3 more time");
  v("cuda_graphs", c.cuda_graphs, any(),
    "on GPUs: what is recorded once and then started as a whole. local: what a rank computes alone; all: the "
    "micro-step in which gradients meet those of other ranks, too (not run on several GPUs yet); off: "
    "nothing, for profilers and for libraries that cannot be recorded");
  v("gemm", c.gemm, any(),
    "who multiplies matrices on CPUs. auto: the fastest for each shape, measured once per machine (aten in "
    "reproducible mode; bf16 without AVX-512: widened); torch-onednn: LibTorch's oneDNN, fp32 only; widened: "
    "bf16 operands in fp32, bf16 only");
}
template <class V>
void describe(Is<OptimizerConfig> auto& c, V& v) {
  v("name", c.name, any(), "AdamW, Loshchilov & Hutter 2019");
  v("lr", c.lr, between(0, 1000), "peak learning rate");
  v.pair("betas", c.beta1, c.beta2, between(0, 0.999999), "decay of the first and second moment");
  v("eps", c.eps, above(0), "added to the root of the second moment");
  v("weight_decay", c.weight_decay, between(0, 1000), "decoupled, on matrices only");
}
template <class V>
void describe(Is<ScheduleConfig> auto& c, V& v) {
  v("name", c.name, any(), "shape of the learning rate after warm-up");
  v("warmup_steps", c.warmup_steps, between(0, 1e12), "updates of linear warm-up");
  v("min_ratio", c.min_ratio, between(0, 1), "learning rate at the end over its peak");
  v("decay_fraction", c.decay_fraction, between(0, 1), "wsd: last part of training that decays");
}
template <class V>
void describe(Is<ParallelConfig> auto& c, V& v) {
  v("backend", c.backend, any(), "auto: NCCL on GPUs, MPI on CPUs");
  v("bucket_mb", c.bucket_mb, between(0.001, 4096),
    "gradient bucket [MiB]: all-reduced while backward goes on");
  v("reduction", c.reduction, any(),
    "reproducible: one fixed summation tree, the same bits on 1, 2, 4 ... ranks; on GPUs also kernels that "
    "repeat their bits, and a step without CUDA graphs");
  v("shared_memory", c.shared_memory, any(),
    "CPU ranks of a node reduce and update through memory they share; auto: memfd, else an MPI window, else "
    "messages; off: messages");
  v("transport", c.transport, any(),
    "how gradients travel between GPUs and between nodes: bf16 halves the bytes, sums stay fp32");
  v("zero", c.zero, between(0, 1), "1: AdamW's moments are sharded over ranks (ZeRO-1)");
  v("registered_buffers", c.registered_buffers, any(),
    "weights and gradients of several GPUs in memory that NCCL reaches without copies (ncclCommRegister), "
    "where it offers that; not measured yet");
  v("timeout_s", c.timeout_s, between(1, 86400),
    "a collective for which this rank waits longer is an error [s]; with `train.cuda_graphs: all` also the "
    "steps around it count");
}
template <class V>
void describe(Is<MonitorConfig> auto& c, V& v) {
  v("every", c.every, between(1, 1e12), "updates between snapshots, or {epochs: N}");
  v("early", c.early, any(), "log2: also steps 1, 2, 4, 8 ... until `every` takes over");
  v("heads", c.heads, any(), "record summaries of each head of q, k and v");
  v("head_histograms", c.head_histograms, any(), "record the histogram of each head as well");
  v("displacement", c.displacement, any(),
    "record |W - W0|/|W0| and the cosine of W and W0; keeps the initial weights in the run directory");
  v("gradients", c.gradients, any(),
    "record the gradient of the update before each snapshot, and what changed the norm of the weights in "
    "it; on a GPU such an update waits for copies to the host");
  v("spectra_every", c.spectra_every, between(0, 1e12),
    "updates between spectra: singular values of every matrix of every block; 0: never");
  v("probe_every", c.probe_every, between(0, 1e12),
    "updates between probes of attention logits, attention entropy and residual stream; 0: never");
  v("probe_blocks", c.probe_blocks, between(1, 1 << 16),
    "blocks of data.val that a probe reads, always the first");
  v("replicas_every", c.replicas_every, between(0, 1e12),
    "updates between comparisons of all replicas; 0: never");
  v("replicas", c.replicas, any(),
    "replicas differ: stop ends with code 8, repair gives all ranks what rank 0 has and goes on");
  v("alarms", c.alarms, any(),
    "list of rules that are watched (table below): names, or {rule: NAME, keys of the rule, action: ACTION}");
}
/// Of a rule that the program does not see to by itself; its name is read before.
template <class V>
void describe(Is<AlarmSetting> auto& c, V& v) {
  const auto keys = c.row().used_keys();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const Limits limits{keys[i].low, keys[i].high};
    if (keys[i].kind == AlarmKey::Kind::number) {
      v(keys[i].name.data(), c.values[i], limits, "");
    } else {
      auto whole = static_cast<std::int64_t>(c.values[i]);
      v(keys[i].name.data(), whole, limits, "");
      if constexpr (!std::is_const_v<std::remove_reference_t<decltype(c)>>)
        c.values[i] = static_cast<double>(whole);
    }
  }
  v("action", c.action, any(), "");
}
template <class V>
void describe(Is<EvalConfig> auto& c, V& v) {
  v("every", c.every, between(0, 1e12), "updates between evaluations; 0: never");
  v("batches", c.batches, between(1, 1 << 24), "global batches of data.val per evaluation, from its start");
}
template <class V>
void describe(Is<CheckpointConfig> auto& c, V& v) {
  v("every", c.every, between(0, 1e12),
    "updates between checkpoints; 0: never (a run that is stopped still saves one)");
  v("keep", c.keep, between(1, 1 << 20), "newest checkpoints to keep");
  v("keep_every", c.keep_every, between(0, 1e12),
    "also keep every checkpoint whose step is a multiple; 0: none");
  v("asynchronous", c.asynchronous, any(),
    "training goes on while a copy of the state is written; takes 12 bytes a parameter on rank 0");
}
template <class V>
void describe(Is<RunConfig> auto& c, V& v) {
  v("name", c.name, any(), "letters, digits, . _ - (at most 64)");
  v("seed", c.seed, between(0, 18446744073709551615.0), "root of every random stream");
  v("output", c.output, any(), "run directory; ${name}, ${seed}, ${env:VAR:-default} are replaced");
  v("model", c.model, any(), "");
  v("init", c.init, any(), "");
  v("data", c.data, any(), "");
  v("train", c.train, any(), "");
  v("optimizer", c.optimizer, any(), "");
  v("schedule", c.schedule, any(), "");
  v("parallel", c.parallel, any(), "");
  v("monitor", c.monitor, any(), "");
  v("eval", c.eval, any(), "");
  v("checkpoint", c.checkpoint, any(), "");
}

/// A struct with keys of its own.
struct AnyVisitor {
  template <class... A>
  void operator()(A&&...) {}
  template <class... A>
  void pair(A&&...) {}
};
template <class T>
concept Section = std::is_class_v<T> && requires(T& t, AnyVisitor v) {
  describe(t, v);
};

}  // namespace weightscope
