#pragma once
// Who multiplies the matrices of a linear layer, shape by shape.
#include <ATen/core/Tensor.h>

#include <compare>
#include <map>
#include <string>

namespace weightscope::ops {

/// aten: what LibTorch takes by itself (MKL for fp32, oneDNN for bf16).
/// torch_onednn: LibTorch's own oneDNN in full fp32, through a function that it exports but declares in no
/// header. widened: bf16 operands copied to fp32 block by block, for processors whose bf16 instructions are
/// slower than their fp32 ones (Intel's without AMX).
enum class GemmBackend { aten, torch_onednn, widened };
enum class Product { forward, input_gradient, weight_gradient };

/// One product of a linear layer with `rows` tokens, `in` and `out` features.
struct GemmShape {
  Product product = Product::forward;
  std::int64_t rows = 0, in = 0, out = 0;
  auto operator<=>(const GemmShape&) const = default;
  double flops() const {
    return 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
  }
};

/// The backend of every shape; `otherwise` for what it does not name.
class GemmChoice {
 public:
  GemmChoice() = default;
  explicit GemmChoice(GemmBackend otherwise) : otherwise_(otherwise) {}
  GemmBackend of(const GemmShape& shape) const;
  void set(const GemmShape& shape, GemmBackend backend) { chosen_[shape] = backend; }
  const std::map<GemmShape, GemmBackend>& all() const { return chosen_; }
  /// One line per shape, "forward 4096 384 1536 torch-onednn", and back; lines that are none are ignored.
  std::string text() const;
  static GemmChoice parse(const std::string& text);

 private:
  std::map<GemmShape, GemmBackend> chosen_;
  GemmBackend otherwise_ = GemmBackend::aten;
};

/// Whether this build of LibTorch and this element type can use it.
bool available(GemmBackend backend, at::ScalarType work);

/// Whether LibTorch multiplies this type fast here. For bf16 it asks oneDNN, which needs AVX-512 for that;
/// without it (or where WEIGHTSCOPE_ISA says so) plain loops remain, which take many times as long as fp32.
bool aten_serves(at::ScalarType work);
/// On a CPU where nothing was measured: aten, or widened where that does not serve.
GemmChoice untuned(at::ScalarType work);

/// The choice and the scratch that the products need: `half` (work, any size >= in) for weight gradients of
/// bf16 that aten computes, `wide` (f32, wide_scratch_size()) for widened ones; both may be undefined
/// otherwise.
struct Gemm {
  GemmChoice choice;
  at::Tensor half, wide;
};
/// Elements of Gemm::wide for layers of at most `widest` input features.
std::int64_t wide_scratch_size(std::int64_t widest);

/// out = lhs · rhs, or out += with add; fp32, through LibTorch's oneDNN. Only where available().
void onednn_product(const at::Tensor& lhs, const at::Tensor& rhs, const at::Tensor& out, bool add);

}  // namespace weightscope::ops
