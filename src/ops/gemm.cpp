#include "ops/gemm.hpp"

#include <ATen/ATen.h>
#include <dlfcn.h>

#include <array>
#include <sstream>
#include <string_view>

#include "ops/cpu/kernels.hpp"

namespace weightscope::ops {
namespace {

constexpr std::array<std::string_view, 3> kBackends{"aten", "torch-onednn", "widened"};
constexpr std::array<std::string_view, 3> kProducts{"forward", "input-gradient", "weight-gradient"};

using Matmul = void (*)(const at::Tensor&, const at::Tensor&, const at::Tensor&, float beta, float alpha);

/// It refuses processors without AVX-512, for float32 too.
bool serves_this_processor(Matmul matmul) {
  try {
    const auto x = at::ones({4, 4}), out = at::empty({4, 4});
    matmul(x, x, out, 0, 1);
    return true;
  } catch (const c10::Error&) {
    return false;
  }
}

/// at::native::mkldnn_matmul. Looked up at run time: a LibTorch without it, or a processor that it does not
/// serve, only loses this backend.
Matmul onednn() {
  static const auto found = [] {
    const auto matmul =
        reinterpret_cast<Matmul>(::dlsym(RTLD_DEFAULT, "_ZN2at6native13mkldnn_matmulERKNS_6TensorES3_S3_ff"));
    return matmul != nullptr && serves_this_processor(matmul) ? matmul : nullptr;
  }();
  return found;
}

template <class E, std::size_t N>
bool read(std::istream& in, E& value, const std::array<std::string_view, N>& names) {
  std::string word;
  if (!(in >> word)) return false;
  for (std::size_t i = 0; i < N; ++i)
    if (names[i] == word) {
      value = static_cast<E>(i);
      return true;
    }
  return false;
}

}  // namespace

GemmBackend GemmChoice::of(const GemmShape& shape) const {
  const auto found = chosen_.find(shape);
  return found == chosen_.end() ? otherwise_ : found->second;
}

std::string GemmChoice::text() const {
  std::ostringstream out;
  for (const auto& [s, backend] : chosen_)
    out << kProducts[static_cast<std::size_t>(s.product)] << ' ' << s.rows << ' ' << s.in << ' ' << s.out
        << ' ' << kBackends[static_cast<std::size_t>(backend)] << '\n';
  return out.str();
}

GemmChoice GemmChoice::parse(const std::string& text) {
  GemmChoice choice;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    GemmShape s;
    GemmBackend backend{};
    if (read(in, s.product, kProducts) && in >> s.rows >> s.in >> s.out && read(in, backend, kBackends))
      choice.set(s, backend);
  }
  return choice;
}

bool available(GemmBackend backend, at::ScalarType work) {
  if (backend == GemmBackend::torch_onednn) return work == at::kFloat && onednn() != nullptr;
  return backend == GemmBackend::aten || work == at::kBFloat16;
}

bool aten_serves(at::ScalarType work) {
  return work != at::kBFloat16 || std::string_view(cpu::kernels().isa).starts_with("avx512");
}

GemmChoice untuned(at::ScalarType work) {
  return GemmChoice(aten_serves(work) ? GemmBackend::aten : GemmBackend::widened);
}

void onednn_product(const at::Tensor& lhs, const at::Tensor& rhs, const at::Tensor& out, bool add) {
  onednn()(lhs, rhs, out, add ? 1.0F : 0.0F, 1.0F);
}

}  // namespace weightscope::ops
