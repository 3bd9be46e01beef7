// From tensors to the kernels of this folder.
#include <ATen/ATen.h>

#include <cmath>

#include "ops/cuda/check.hpp"
#include "ops/cuda/kernels.hpp"
#include "ops/cuda/ops_cuda.hpp"
#include "ops/cuda/workbench.hpp"

namespace weightscope::ops::cuda {
namespace {

/// f(typed null pointer) with the element type of `work`.
template <class F>
void with_type(const at::Tensor& work, F&& f) {
  if (work.scalar_type() == at::kBFloat16)
    f(static_cast<bf16*>(nullptr));
  else
    f(static_cast<float*>(nullptr));
}

float* floats(const at::Tensor& on, Index count) {
  return static_cast<float*>(Workbench::of(on).scratch(static_cast<std::size_t>(count) * sizeof(float)));
}

bool adds(Write write) { return write == Write::add; }

template <class F>
QkNormPointers<F> pointers_of(const QkNorm& n) {
  return {{data<F>(n.q_w_D), data<F>(n.k_w_D)}, {data<F>(n.q_b_D), data<F>(n.k_b_D)}};
}

AttentionSizes sizes_of(const at::Tensor& qkv, const Attention& a) {
  const Index width = qkv.size(1) / (3 * a.heads);
  return {a.batch, qkv.size(0) / a.batch, a.heads, width,
          static_cast<float>(a.scale / std::sqrt(static_cast<double>(width)))};
}

}  // namespace

bool serves(const at::Tensor& work) {
  return work.is_cuda() && (work.scalar_type() == at::kFloat || work.scalar_type() == at::kBFloat16);
}

bool serves_heads(const at::Tensor& qkv, std::int64_t heads) {
  return serves(qkv) && qkv.size(1) / (3 * heads) <= widest_head();
}

bool serves_rows(const at::Tensor& work) {
  return serves(work) && work.size(-1) % 8 == 0 && work.is_contiguous() && work.size(0) > 0;
}

void bias_backward(const at::Tensor& dy_RN, at::Tensor& db_N, Write write) {
  const Index R = dy_RN.size(0), N = dy_RN.size(1);
  with_type(dy_RN, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    check(column_sum(data<const T>(dy_RN), data<float>(db_N), adds(write), R, N,
                     floats(dy_RN, column_sum_scratch(R, N)), stream_of(dy_RN)),
          "column_sum");
  });
}

void residual_layer_norm(const at::Tensor& residual_RC, const at::Tensor& branch_RC, at::Tensor& s_RC,
                         const at::Tensor& w_C, const at::Tensor& b_C, at::Tensor& y_RC, at::Tensor& mean_R,
                         at::Tensor& rstd_R) {
  if (y_RC.size(1) > kWidestNorm)
    return reference::residual_layer_norm(residual_RC, branch_RC, s_RC, w_C, b_C, y_RC, mean_R, rstd_R);
  with_type(y_RC, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    check(cuda::residual_layer_norm(data<const float>(residual_RC), data<const T>(branch_RC),
                                    data<float>(s_RC), data<const float>(w_C), data<const float>(b_C),
                                    data<T>(y_RC), data<float>(mean_R), data<float>(rstd_R), y_RC.size(0),
                                    y_RC.size(1), stream_of(y_RC)),
          "residual_layer_norm");
  });
}

void layer_norm_backward(const at::Tensor& dy_RC, const at::Tensor& s_RC, const at::Tensor& mean_R,
                         const at::Tensor& rstd_R, const at::Tensor& w_C, at::Tensor& ds_RC, Write onto,
                         at::Tensor& ds_work_RC, at::Tensor& dw_C, at::Tensor& db_C, at::Tensor& ds_sum_C,
                         Write write) {
  const Index R = dy_RC.size(0), C = dy_RC.size(1);
  if (C > kWidestNorm)
    return reference::layer_norm_backward(dy_RC, s_RC, mean_R, rstd_R, w_C, ds_RC, onto, ds_work_RC, dw_C,
                                          db_C, ds_sum_C, write);
  with_type(dy_RC, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    T* work = ds_work_RC.is_same(ds_RC) ? nullptr : data<T>(ds_work_RC);
    check(cuda::layer_norm_backward(
              data<const T>(dy_RC), data<const float>(s_RC), data<const float>(mean_R),
              data<const float>(rstd_R), data<const float>(w_C), data<float>(ds_RC), adds(onto), work,
              {data<float>(dw_C), data<float>(db_C), data<float>(ds_sum_C)}, adds(write), R, C,
              floats(dy_RC, layer_norm_scratch(R, C)), stream_of(dy_RC)),
          "layer_norm_backward");
  });
}

void gelu(const at::Tensor& x_RN, at::Tensor& y_RN, Gelu kind) {
  with_type(x_RN, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    check(cuda::gelu(data<const T>(x_RN), data<T>(y_RN), x_RN.numel(), kind == Gelu::erf, stream_of(x_RN)),
          "gelu");
  });
}

void gelu_backward(const at::Tensor& x_RN, at::Tensor& dy_RN, at::Tensor& db_N, Gelu kind, Write write) {
  with_type(x_RN, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    check(cuda::gelu_backward(data<const T>(x_RN), data<T>(dy_RN), x_RN.numel(), kind == Gelu::erf,
                              stream_of(x_RN)),
          "gelu_backward");
  });
  if (db_N.defined()) cuda::bias_backward(dy_RN, db_N, write);
}

void qk_norm(at::Tensor& qkv_R3C, at::Tensor& raw_R2C, const QkNorm& norm, std::int64_t heads) {
  with_type(qkv_R3C, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    check(cuda::qk_norm(data<T>(qkv_R3C), data<T>(raw_R2C), pointers_of<const float>(norm), qkv_R3C.size(0),
                        heads, norm.q_w_D.size(0), stream_of(qkv_R3C)),
          "qk_norm");
  });
}

void qk_norm_backward(at::Tensor& dqkv_R3C, const at::Tensor& raw_R2C, const QkNorm& norm,
                      const QkNorm& gradients, std::int64_t heads, Write write) {
  const Index R = dqkv_R3C.size(0), D = norm.q_w_D.size(0);
  with_type(dqkv_R3C, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    check(cuda::qk_norm_backward(data<T>(dqkv_R3C), data<const T>(raw_R2C), pointers_of<const float>(norm),
                                 pointers_of<float>(gradients), adds(write), R, heads, D,
                                 floats(dqkv_R3C, qk_norm_scratch(R, heads, D)), stream_of(dqkv_R3C)),
          "qk_norm_backward");
  });
}

void tiled_attention(const at::Tensor& qkv, at::Tensor& out, at::Tensor& lse, const Attention& a) {
  with_type(qkv, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    check(cuda::tiled_attention(data<const T>(qkv), data<T>(out), data<float>(lse), sizes_of(qkv, a),
                                drop_on_device(a.dropout, a.masks, a.heads * (qkv.size(0) / a.batch)),
                                stream_of(qkv)),
          "tiled_attention");
  });
}

void tiled_attention_backward(const at::Tensor& dout, const at::Tensor& qkv, const at::Tensor& out,
                              const at::Tensor& lse, at::Tensor& dqkv, const Attention& a) {
  with_type(qkv, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    check(
        cuda::tiled_attention_backward(data<const T>(dout), data<const T>(qkv), data<const T>(out),
                                       data<const float>(lse), data<T>(dqkv), sizes_of(qkv, a),
                                       drop_on_device(a.dropout, a.masks, a.heads * (qkv.size(0) / a.batch)),
                                       floats(qkv, qkv.size(0) * a.heads), stream_of(qkv)),
        "tiled_attention_backward");
  });
}

void cross_entropy(at::Tensor& logits, const at::Tensor& targets_R, std::int64_t vocab, double dscale,
                   at::Tensor& loss_sum) {
  with_type(logits, [&](auto* null) {
    using T = std::remove_pointer_t<decltype(null)>;
    check(cuda::cross_entropy(data<T>(logits), data<const Index>(targets_R), static_cast<float>(dscale),
                              logits.size(0), vocab, logits.size(1), data<double>(loss_sum),
                              floats(logits, logits.size(0)), stream_of(logits)),
          "cross_entropy");
  });
}

void embedding(const at::Tensor& tokens_R, const at::Tensor& wte, const at::Tensor& wpe, std::int64_t T,
               at::Tensor& x_RC) {
  check(cuda::embedding(data<const Index>(tokens_R), data<const float>(wte), data<const float>(wpe),
                        data<float>(x_RC), x_RC.size(0), T, x_RC.size(1), stream_of(x_RC)),
        "embedding");
}

void embedding_backward(const at::Tensor& dx_RC, const at::Tensor& tokens_R, std::int64_t T, at::Tensor& dwte,
                        at::Tensor& dwpe, Write write) {
  const Index R = dx_RC.size(0), C = dx_RC.size(1);
  check(cuda::embedding_backward(data<const float>(dx_RC), data<const Index>(tokens_R), data<float>(dwte),
                                 data<float>(dwpe), adds(write), R, T, C, dwte.size(0), dwpe.size(0),
                                 Workbench::of(dx_RC).scratch(embedding_scratch(R, C)), stream_of(dx_RC)),
        "embedding_backward");
}

void dropout(at::Tensor& x_RC, double p, const Masks& masks, std::int64_t T) {
  with_type(x_RC, [&](auto* null) {
    using Element = std::remove_pointer_t<decltype(null)>;
    check(cuda::dropout(data<Element>(x_RC), drop_on_device(p, masks, T), x_RC.size(0), x_RC.size(1),
                        stream_of(x_RC)),
          "dropout");
  });
}

at::Tensor sum_of_squares(const at::Tensor& x) {
  auto out = at::empty({1}, x.options().dtype(at::kDouble));
  const auto tiles = static_cast<std::size_t>((x.numel() + kSquareTile - 1) / kSquareTile);
  check(cuda::sum_of_squares(data<const float>(x), x.numel(), data<double>(out),
                             static_cast<double*>(Workbench::of(x).scratch(tiles * sizeof(double))),
                             stream_of(x)),
        "sum_of_squares");
  return out;
}

}  // namespace weightscope::ops::cuda
