#include "train/gemm_tuner.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <malloc.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <fstream>

#include "core/file_io.hpp"
#include "core/log.hpp"
#include "model/activations.hpp"
#include "ops/ops.hpp"

namespace weightscope {
namespace {

constexpr double kSmallest = 5e7;  // FLOPs: below, overhead decides and a measurement says little
constexpr int kRounds = 5;
constexpr double kGain = 1.03, kLargestError = 0.02;

std::string cpu_model() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  return "unknown";
}

/// A file per processor, threads and type; empty when the user has no home.
std::filesystem::path cache_file(at::ScalarType work) {
  const char *cache = std::getenv("XDG_CACHE_HOME"), *home = std::getenv("HOME");
  if (cache == nullptr && home == nullptr) return {};
  std::string name = "gemm " + cpu_model() + " " + std::to_string(at::get_num_threads()) + " threads " +
                     c10::toString(work) + ".txt";
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0 && c != '.'; }, '-');
  return (cache != nullptr ? std::filesystem::path(cache) : std::filesystem::path(home) / ".cache") /
         "weightscope" / name;
}

std::string text_of(const std::filesystem::path& file) {
  std::error_code error;
  return !file.empty() && std::filesystem::exists(file, error) ? read_file(file, Fault::input) : "";
}

/// A cache that cannot be read or written is no reason to stop.
std::string remembered(const std::filesystem::path& file) {
  try {
    return text_of(file);
  } catch (const std::exception& e) {
    log_debug(std::string("gemm choices were not remembered: ") + e.what());
    return "";
  }
}

void remember(const std::filesystem::path& file, const std::string& text) {
  try {
    if (file.empty()) return;
    std::filesystem::create_directories(file.parent_path());
    write_file_atomically(file, text);
  } catch (const std::exception& e) {
    log_debug(std::string("gemm choices are not remembered: ") + e.what());
  }
}

/// One product of a shape, on operands of its own.
class Trial {
 public:
  Trial(const ops::GemmShape& shape, at::ScalarType work) : shape_(shape) {
    const auto random = [&](std::int64_t rows, std::int64_t columns) {
      return at::rand({rows, columns}, at::kFloat).sub_(0.5).to(work);
    };
    if (shape.product != ops::Product::weight_gradient) w_NK_ = random(shape.out, shape.in);
    if (shape.product != ops::Product::input_gradient) x_RK_ = random(shape.rows, shape.in);
    if (shape.product != ops::Product::forward) dy_RN_ = random(shape.rows, shape.out);
    out_ = shape.product == ops::Product::forward          ? at::empty({shape.rows, shape.out}, work)
           : shape.product == ops::Product::input_gradient ? at::empty({shape.rows, shape.in}, work)
                                                           : at::zeros({shape.out, shape.in}, at::kFloat);
    if (work != at::kBFloat16) return;
    gemm_.half = at::empty({std::min<std::int64_t>(shape.out, 2048) * shape.in}, work);
    gemm_.wide = at::empty({ops::wide_scratch_size(shape.in)}, at::kFloat);
  }
  const at::Tensor& run(ops::GemmBackend backend) {
    gemm_.choice.set(shape_, backend);
    switch (shape_.product) {
      case ops::Product::forward:
        ops::linear(x_RK_, w_NK_, at::Tensor(), out_, gemm_);
        break;
      case ops::Product::input_gradient:
        ops::linear_backward_input(dy_RN_, w_NK_, out_, gemm_);
        break;
      case ops::Product::weight_gradient:
        ops::linear_backward_weight(dy_RN_, x_RK_, out_, ops::Write::assign, gemm_);
    }
    return out_;
  }

 private:
  ops::GemmShape shape_;
  at::Tensor w_NK_, x_RK_, dy_RN_, out_;
  ops::Gemm gemm_;
};

/// What may be faster than ATen.
ops::GemmBackend challenger(at::ScalarType work) {
  return work == at::kBFloat16 ? ops::GemmBackend::widened : ops::GemmBackend::torch_onednn;
}

/// What a text holds for runs of this type: a cache, or the file of an attempt that died before its first
/// step, may hold another type's.
ops::GemmChoice fitting(const std::string& text, at::ScalarType work) {
  ops::GemmChoice choice;
  const auto parsed = ops::GemmChoice::parse(text);
  for (const auto& [shape, backend] : parsed.all())
    if (backend == ops::GemmBackend::aten || backend == challenger(work)) choice.set(shape, backend);
  return choice;
}

ops::GemmChoice measured(const std::vector<ops::GemmShape>& shapes, ops::GemmChoice known,
                         at::ScalarType work) {
  for (const auto& shape : shapes)
    if (!known.all().contains(shape)) known.set(shape, fastest(shape, work));
  ::malloc_trim(0);  // the operands of the trials go back to the system
  return known;
}

bool covers(const ops::GemmChoice& choice, const std::vector<ops::GemmShape>& shapes) {
  return std::all_of(shapes.begin(), shapes.end(), [&](const auto& s) { return choice.all().contains(s); });
}

/// From the run's file, the user's cache and measurements, in this order; `in_file`: the file said it all.
ops::GemmChoice automatic(const std::vector<ops::GemmShape>& shapes, const HostComm& host,
                          at::ScalarType work, const std::filesystem::path& file, bool& in_file) {
  const auto cache = cache_file(work);
  std::string known;
  host.together([&] {
    if (!host.is_root()) return;
    known = text_of(file);
    in_file = covers(fitting(known, work), shapes);
    if (!in_file) known = remembered(cache) + known;
  });
  auto choice = fitting(host.broadcast(known), work);
  if (covers(choice, shapes)) return choice;
  host.together([&] { choice = measured(shapes, choice, work); });
  choice = ops::GemmChoice::parse(host.broadcast(choice.text()));
  if (host.is_root()) remember(cache, choice.text());
  return choice;
}

}  // namespace

std::vector<ops::GemmShape> large_products(const RunConfig& config) {
  const auto& m = config.model;
  const std::int64_t rows = config.train.micro_batch * m.block, C = m.width, hidden = C * m.mlp_ratio,
                     head_rows = logit_rows(m, types_of(config.train.precision), Place::host, rows);
  std::vector<ops::GemmShape> shapes;
  for (const auto product :
       {ops::Product::forward, ops::Product::input_gradient, ops::Product::weight_gradient})
    for (const auto& [r, in, out] : {std::array{rows, C, 3 * C},
                                     {rows, C, C},
                                     {rows, C, hidden},
                                     {rows, hidden, C},
                                     {head_rows, C, padded_vocab(m.vocab)}})
      if (const ops::GemmShape shape{product, r, in, out}; shape.flops() >= kSmallest)
        shapes.push_back(shape);
  return shapes;
}

ops::GemmBackend fastest(const ops::GemmShape& shape, at::ScalarType work) {
  const auto other = challenger(work);
  if (!ops::available(other, work)) return ops::GemmBackend::aten;
  Trial trial(shape, work);
  const auto expected = trial.run(ops::GemmBackend::aten).to(at::kFloat, false, true);
  const auto difference = (trial.run(other).to(at::kFloat) - expected).abs().max().item<double>();
  if (!(difference <= kLargestError * expected.abs().max().item<double>())) return ops::GemmBackend::aten;
  std::array<std::array<double, kRounds>, 2> seconds{};
  for (std::size_t round = 0; round < kRounds; ++round)
    for (const std::size_t who : {round % 2, 1 - round % 2}) {
      const auto start = std::chrono::steady_clock::now();
      trial.run(who == 0 ? ops::GemmBackend::aten : other);
      seconds[who][round] = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    }
  for (auto& times : seconds) std::sort(times.begin(), times.end());
  return seconds[0][kRounds / 2] > kGain * seconds[1][kRounds / 2] ? other : ops::GemmBackend::aten;
}

ops::GemmChoice choose_gemms(const RunConfig& config, DevicePlace place, const HostComm& host,
                             const std::filesystem::path& run) {
  const auto policy = config.train.gemm;
  const auto work = types_of(config.train.precision).work;
  if (place.place != Place::host || policy == GemmPolicy::aten) return {};
  const auto shapes = large_products(config);
  ops::GemmChoice choice;
  if (policy != GemmPolicy::automatic) {
    const auto backend =
        policy == GemmPolicy::torch_onednn ? ops::GemmBackend::torch_onednn : ops::GemmBackend::widened;
    host.together([&] {
      require(ops::available(backend, work), Fault::config,
              "train.gemm = torch-onednn: this LibTorch does not export the function it needs, or not for "
              "this processor (it wants AVX-512); use auto");
    });
    for (const auto& shape : shapes) choice.set(shape, backend);
    return choice;
  }
  // Whatever was measured elsewhere: on this processor a measurement alone would take minutes.
  if (host.max(std::int64_t{!ops::aten_serves(work)}) != 0) {
    if (host.is_root()) log_debug("no processor for bf16 products in this job: they are widened to fp32");
    return ops::GemmChoice(ops::GemmBackend::widened);
  }
  if (config.parallel.reduction == Reduction::reproducible || shapes.empty()) return {};
  const auto file = run.empty() ? run : run / "gemm.txt";
  bool in_file = false;
  choice = automatic(shapes, host, work, file, in_file);
  // The run may have begun, and rank 0 be, on another processor.
  const auto other = challenger(work);
  const bool everywhere = host.max(std::int64_t{!ops::available(other, work)}) == 0;
  ops::GemmChoice used;
  for (const auto& shape : shapes)
    used.set(shape, everywhere && choice.of(shape) == other ? other : ops::GemmBackend::aten);
  host.together([&] {
    if (!host.is_root() || file.empty()) return;
    if (!in_file)
      write_file_atomically(file, "# product rows in out backend\n" + used.text());
    else if (std::any_of(shapes.begin(), shapes.end(),
                         [&](const auto& s) { return used.of(s) != choice.of(s); }))
      log_info("gemm.txt names products that a processor of this job lacks; it goes on with LibTorch's own");
  });
  return used;
}

}  // namespace weightscope
