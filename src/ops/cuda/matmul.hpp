#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace weightscope::ops::cuda {

/// Of the ways that a library offers: the fastest, timed, which may differ from start to start and may add in
/// any order; or the first one, adding in a fixed order.
enum class Choice : std::uint8_t { fastest, repeatable };

/// What is done to a product before it is written. bias: + bias_N. gelu: aux_RN = x · wᵀ + bias as it is, y =
/// GELU(aux), tanh approximation. gelu_slope: y = (dy · w) · GELU'(aux).
enum class Epilogue : std::uint8_t { none, bias, gelu, gelu_slope };

/// Row-major out [rows, columns] = or += left · right over `inner`, bf16 operands, sums in fp32.
/// left is [rows, inner], or [inner, rows] when transposed; right is [inner, columns], or [columns, inner].
struct Product2D {
  std::int64_t rows = 0, columns = 0, inner = 0;
  const void *left = nullptr, *right = nullptr;
  bool left_transposed = false, right_transposed = false;
  void* out = nullptr;
  bool out_is_float = false, add = false;
  Epilogue epilogue = Epilogue::none;
  const void* bias = nullptr;  ///< bf16 [columns]
  void* aux = nullptr;         ///< bf16 [rows, columns]
};

/// cuBLASLt. Choice::fastest: of the algorithms that its heuristic names for a shape, timed where a shape is
/// met first. What adds to its destination, or is recorded into a graph, takes the first one if it is met
/// first.
class Multiplier {
 public:
  explicit Multiplier(Choice choice);
  Multiplier(const Multiplier&) = delete;
  Multiplier& operator=(const Multiplier&) = delete;
  ~Multiplier();
  void run(const Product2D& product, void* workspace, std::size_t workspace_bytes, void* stream);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weightscope::ops::cuda
