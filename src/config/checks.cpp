#include "config/checks.hpp"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <functional>

#include "config/text.hpp"

namespace weightscope {
namespace {

constexpr std::size_t kLongestText = 4096;  // of a path on Linux

/// Where a key stands in the file, or the file alone when it has its default.
std::string place_of(const YamlNode& root, const std::string& file, const std::string& path) {
  const auto dot = path.find('.');
  const auto* section = root.find(path.substr(0, dot));
  if (section == nullptr) return file;
  if (dot == std::string::npos) return section->where;
  const auto* value = section->find(path.substr(dot + 1));
  return value == nullptr ? section->where : value->where;
}

bool power_of_two(std::int64_t n) { return n > 0 && std::has_single_bit(static_cast<std::uint64_t>(n)); }

std::string equals(const std::string& key, std::int64_t value) { return key + " = " + std::to_string(value); }

bool valid_name(const std::string& name) {
  const auto allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !name.empty() && name.size() <= 64 && name.find_first_not_of(allowed) == std::string::npos &&
         name != "." && name != "..";
}

/// Each part of muP alone would be another parametrization under its name.
void check_mup(const RunConfig& c,
               const std::function<void(const std::string&, const std::string&)>& refuse) {
  const auto& m = c.model;
  const bool rule = std::any_of(c.init.rules.begin(), c.init.rules.end(),
                                [](const InitRule& r) { return r.scheme == InitScheme::mup; });
  if (m.mup_base_width == 0) {
    if (c.init.scheme == InitScheme::mup || rule)
      refuse(rule ? "init.rules" : "init.scheme",
             "init.scheme = mup needs model.mup_base_width, the width at which muP is the standard model");
    if (m.mup_base_head_width > 0)
      refuse("model.mup_base_head_width",
             "model.mup_base_head_width does nothing without model.mup_base_width");
    return;
  }
  if (c.init.scheme != InitScheme::mup && c.init.from.empty())
    refuse("model.mup_base_width",
           "model.mup_base_width scales learning rates and logits only; it needs init.scheme: mup (or "
           "init.from), without which this is not muP");
  if (m.mup_base_head_width > 0 && m.mup_base_width % m.mup_base_head_width != 0)
    refuse("model.mup_base_head_width", equals("model.mup_base_head_width", m.mup_base_head_width) +
                                            " does not divide " +
                                            equals("model.mup_base_width", m.mup_base_width));
}

/// Numbers that are fine alone but whose product no 64 bits hold, or no tensor.
void check_sizes(const RunConfig& c,
                 const std::function<void(const std::string&, const std::string&)>& refuse) {
  constexpr std::int64_t kMostTokens = std::int64_t{1} << 62, kMostInAPass = std::int64_t{1} << 31;
  const std::int64_t block = c.model.block;
  if (c.train.micro_batch > kMostInAPass / block)
    refuse("train.micro_batch", equals("train.micro_batch", c.train.micro_batch) + " times " +
                                    equals("model.block", block) +
                                    " is more than 2^31 tokens in one forward pass");
  std::int64_t tokens = 0;
  if (__builtin_mul_overflow(c.train.global_batch * block, c.train.steps, &tokens) || tokens > kMostTokens)
    refuse("train.steps", equals("train.steps", c.train.steps) + " times " +
                              equals("train.global_batch", c.train.global_batch) + " times " +
                              equals("model.block", block) + " is more than 2^62 tokens");
}

}  // namespace

void cross_check(const RunConfig& c, const YamlNode& root, const std::string& file, int world,
                 Problems& problems) {
  const auto refuse = [&](const std::string& key, const std::string& what) {
    problems.add(place_of(root, file, key), what);
  };
  if (!valid_name(c.name))
    refuse("name", "name = " + c.name + " is not 1 to 64 letters, digits, '.', '_' or '-'");
  if (c.model.width % c.model.heads != 0)
    refuse("model.heads",
           equals("model.heads", c.model.heads) + " does not divide " + equals("model.width", c.model.width));
  if (c.model.qk_norm && c.model.width == c.model.heads)
    refuse("model.qk_norm",
           "model.qk_norm needs heads of more than one feature: LayerNorm of one is always 0");
  const std::int64_t ranks = world > 0 ? world : 1;
  if (c.train.global_batch % (ranks * c.train.micro_batch) != 0)
    refuse("train.global_batch", equals("train.global_batch", c.train.global_batch) +
                                     " is not a multiple of " + std::to_string(ranks) + " rank(s) x " +
                                     equals("train.micro_batch", c.train.micro_batch));
  if (c.parallel.reduction == Reduction::reproducible) {
    if (!power_of_two(ranks))
      refuse("parallel.reduction",
             "parallel.reduction = reproducible needs 1, 2, 4, 8 ... ranks, not " + std::to_string(ranks));
    if (c.train.global_batch % c.train.micro_batch == 0 &&
        !power_of_two(c.train.global_batch / c.train.micro_batch))
      refuse("parallel.reduction",
             "parallel.reduction = reproducible needs train.global_batch / train.micro_batch to be a power "
             "of two, not " +
                 std::to_string(c.train.global_batch / c.train.micro_batch));
  }
  if (c.train.gemm == GemmPolicy::torch_onednn && c.train.precision != Precision::fp32)
    refuse("train.gemm",
           "train.gemm = torch-onednn is for train.precision = fp32; bf16 takes oneDNN by itself");
  if (c.train.gemm == GemmPolicy::widened && c.train.precision != Precision::bf16)
    refuse("train.gemm", "train.gemm = widened is for train.precision = bf16; fp32 has nothing to widen");
  if (c.parallel.reduction == Reduction::reproducible && c.parallel.transport == Precision::bf16)
    refuse("parallel.transport",
           "parallel.transport = bf16 rounds the sums of each node, so parallel.reduction = reproducible "
           "cannot hold");
  if (c.parallel.backend == BackendChoice::nccl && c.train.device == Device::cpu)
    refuse("parallel.backend", "parallel.backend = nccl moves tensors of GPUs, but train.device = cpu");
  if (c.parallel.backend == BackendChoice::mpi && c.train.device == Device::cuda)
    refuse("parallel.backend",
           "parallel.backend = mpi moves tensors in host memory, but train.device = cuda");
  if (c.init.from.empty() == false && !c.init.rules.empty())
    refuse("init.rules", "init.rules do nothing when init.from gives the weights");
  if (c.monitor.probe_every > 0 && c.data.val.empty())
    refuse("monitor.probe_every", "monitor.probe_every needs data.val, whose first blocks a probe reads");
  check_mup(c, refuse);
  check_sizes(c, refuse);
}

void substitute(RunConfig& c, const YamlNode& root, const std::string& file, Problems& problems) {
  const auto expand = [&](const std::string& key, std::string& text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const auto open = text.find("${", at), close = open == std::string::npos ? open : text.find('}', open);
      if (open == std::string::npos) {
        out += text.substr(at);
        break;
      }
      const auto what = close == std::string::npos ? "" : text.substr(open + 2, close - open - 2);
      out += text.substr(at, open - at);
      at = close == std::string::npos ? text.size() : close + 1;
      const auto fallback = what.find(":-");
      const char* variable =
          what.starts_with("env:")
              ? std::getenv(what.substr(4, fallback == std::string::npos ? fallback : fallback - 4).c_str())
              : nullptr;
      if (what == "name")
        out += c.name;
      else if (what == "seed")
        out += std::to_string(c.seed);
      else if (variable != nullptr)
        out += variable;
      else if (what.starts_with("env:") && fallback != std::string::npos)
        out += what.substr(fallback + 2);
      else
        problems.add(
            place_of(root, file, key),
            key + ": cannot replace ${" + what + "}" +
                (what.starts_with("env:") ? " (the variable is not set; ${env:VAR:-default} gives a default)"
                                          : "; known are ${name}, ${seed}, ${env:VAR:-default}"));
    }
    text = out;
    // What was put in must not be replaced in turn when the resolved configuration is read.
    auto why = text_problem(text);
    if (text.find("${") != std::string::npos) why = "still holds ${ after its variables were replaced";
    if (text.size() > kLongestText) why = "is longer than 4096 characters";
    if (!why.empty()) problems.add(place_of(root, file, key), key + " " + why);
  };
  expand("output", c.output);
  expand("data.train", c.data.train);
  expand("data.val", c.data.val);
  expand("init.from", c.init.from);
  if (c.output.empty()) problems.add(place_of(root, file, "output"), "output is empty; name a run directory");
}

}  // namespace weightscope
