#pragma once
#include <ATen/core/Tensor.h>

namespace weightscope::ops::widened {

// Products of bf16 matrices in fp32, block by block: both operands of a block are copied to float32 `wide`
// (wide_scratch_size()), multiplied there, and the result rounded once — or added straight to a float32
// gradient.

/// y_RN (bf16) = x_RK · w_NKᵀ + b_N
void linear(const at::Tensor& x_RK, const at::Tensor& w_NK, const at::Tensor& b_N, at::Tensor& y_RN,
            const at::Tensor& wide);
/// dx_RK (bf16) = dy_RN · w_NK
void input_gradient(const at::Tensor& dy_RN, const at::Tensor& w_NK, at::Tensor& dx_RK,
                    const at::Tensor& wide);
/// dw_NK (f32) = or += dy_RNᵀ · x_RK
void weight_gradient(const at::Tensor& dy_RN, const at::Tensor& x_RK, at::Tensor& dw_NK, bool add,
                     const at::Tensor& wide);

}  // namespace weightscope::ops::widened
