#include "ops/cuda/matmul.hpp"

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "ops/cuda/check.hpp"
#include "ops/cuda/fastest.hpp"

namespace weightscope::ops::cuda {
namespace {

using Key =
    std::tuple<std::int64_t, std::int64_t, std::int64_t, bool, bool, bool, bool, Epilogue, std::uint32_t>;

/// Of all operands: the largest power of two, at most 256 bytes, that divides their addresses.
std::uint32_t alignment(const Product2D& p) {
  auto bits = std::uintptr_t{256};
  for (const void* pointer :
       {p.left, p.right, static_cast<const void*>(p.out), p.bias, static_cast<const void*>(p.aux)})
    bits |= reinterpret_cast<std::uintptr_t>(pointer);
  return static_cast<std::uint32_t>(bits & (~bits + 1));
}

cublasLtEpilogue_t epilogue_of(const Product2D& p) {
  switch (p.epilogue) {
    case Epilogue::bias:
      return CUBLASLT_EPILOGUE_BIAS;
    case Epilogue::gelu:
      return p.bias == nullptr ? CUBLASLT_EPILOGUE_GELU_AUX : CUBLASLT_EPILOGUE_GELU_AUX_BIAS;
    case Epilogue::gelu_slope:
      return CUBLASLT_EPILOGUE_DGELU;
    case Epilogue::none:
      break;
  }
  return CUBLASLT_EPILOGUE_DEFAULT;
}

/// cuBLAS thinks in columns: a row-major matrix is its transposed one, so out = left · right is asked for as
/// outᵀ = rightᵀ · leftᵀ.
struct Plan {
  cublasLtMatmulDesc_t product = nullptr;
  cublasLtMatrixLayout_t first = nullptr, second = nullptr, out = nullptr;
  cublasLtMatmulAlgo_t algorithm{};

  Plan() = default;
  Plan(const Plan&) = delete;
  Plan& operator=(const Plan&) = delete;
  ~Plan() {
    for (auto layout : {first, second, out})
      if (layout != nullptr) cublasLtMatrixLayoutDestroy(layout);
    if (product != nullptr) cublasLtMatmulDescDestroy(product);
  }

  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, T value) {
    check(cublasLtMatmulDescSetAttribute(product, attribute, &value, sizeof value),
          "cublasLtMatmulDescSetAttribute");
  }
};

void describe(Plan& plan, const Product2D& p) {
  check(cublasLtMatmulDescCreate(&plan.product, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  plan.set(CUBLASLT_MATMUL_DESC_TRANSA, p.right_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  plan.set(CUBLASLT_MATMUL_DESC_TRANSB, p.left_transposed ? CUBLAS_OP_T : CUBLAS_OP_N);
  plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
  if (p.aux != nullptr) plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.columns);
  const auto layout = [](cublasLtMatrixLayout_t& to, cudaDataType type, std::int64_t rows,
                         std::int64_t columns) {
    check(cublasLtMatrixLayoutCreate(&to, type, static_cast<std::uint64_t>(rows),
                                     static_cast<std::uint64_t>(columns), rows),
          "cublasLtMatrixLayoutCreate");
  };
  layout(plan.first, CUDA_R_16BF, p.right_transposed ? p.inner : p.columns,
         p.right_transposed ? p.columns : p.inner);
  layout(plan.second, CUDA_R_16BF, p.left_transposed ? p.rows : p.inner,
         p.left_transposed ? p.inner : p.rows);
  layout(plan.out, p.out_is_float ? CUDA_R_32F : CUDA_R_16BF, p.columns, p.rows);
}

void bind(Plan& plan, const Product2D& p) {
  if (p.bias != nullptr) plan.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  if (p.aux != nullptr) plan.set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, p.aux);
}

constexpr int kCandidates = 8;

struct Candidates {
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> found{};
  int count = 0;
};

Candidates candidates(cublasLtHandle_t handle, const Plan& plan, const Product2D& p,
                      std::size_t workspace_bytes) {
  cublasLtMatmulPreference_t preference = nullptr;
  check(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute, auto value) {
    return cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value);
  };
  int status = prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, workspace_bytes);
  const std::uint32_t aligned = alignment(p);
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    if (status == 0) status = prefer(attribute, aligned);
  Candidates c;
  if (status == 0)
    status = cublasLtMatmulAlgoGetHeuristic(handle, plan.product, plan.first, plan.second, plan.out, plan.out,
                                            preference, kCandidates, c.found.data(), &c.count);
  cublasLtMatmulPreferenceDestroy(preference);
  check(status, "cublasLtMatmulAlgoGetHeuristic");
  require(c.count > 0, Fault::internal,
          "cuBLASLt knows no way to multiply [" + std::to_string(p.rows) + ", " + std::to_string(p.inner) +
              "] by [" + std::to_string(p.inner) + ", " + std::to_string(p.columns) + "]");
  return c;
}

}  // namespace

struct Multiplier::Impl {
  Choice choice;
  cublasLtHandle_t handle = nullptr;
  std::map<Key, Plan> plans;
};

Multiplier::Multiplier(Choice choice) : impl_(std::make_unique<Impl>(choice)) {
  check(cublasLtCreate(&impl_->handle), "cublasLtCreate");
}

Multiplier::~Multiplier() {
  impl_->plans.clear();
  cublasLtDestroy(impl_->handle);
}

void Multiplier::run(const Product2D& p, void* workspace, std::size_t workspace_bytes, void* stream) {
  const Key key{p.rows,         p.columns,         p.inner,    p.left_transposed, p.right_transposed,
                p.out_is_float, p.bias != nullptr, p.epilogue, alignment(p)};
  const auto [at, fresh] = impl_->plans.try_emplace(key);
  auto& plan = at->second;
  if (fresh) describe(plan, p);
  bind(plan, p);
  const auto on = static_cast<cudaStream_t>(stream);
  const auto multiply = [&](const cublasLtMatmulAlgo_t& algorithm) {
    const float one = 1, beta = p.add ? 1 : 0;
    return cublasLtMatmul(impl_->handle, plan.product, &one, p.right, plan.first, p.left, plan.second, &beta,
                          p.out, plan.out, p.out, plan.out, &algorithm, workspace, workspace_bytes, on);
  };
  if (fresh) {
    const auto c = candidates(impl_->handle, plan, p, workspace_bytes);
    const bool timed = impl_->choice == Choice::fastest && !p.add &&  // what adds would add several times
                       !is_captured(on);
    const auto best =
        timed ? fastest(static_cast<std::size_t>(c.count), on,
                        [&](std::size_t i) { return multiply(c.found[i].algo) == CUBLAS_STATUS_SUCCESS; })
              : 0;
    plan.algorithm = c.found[best].algo;
  }
  check(multiply(plan.algorithm), "cublasLtMatmul");
}

}  // namespace weightscope::ops::cuda
