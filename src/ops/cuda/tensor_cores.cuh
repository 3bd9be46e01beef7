#pragma once
// Products on tensor cores, by one warp. tests/host_cuda/ops/cuda/tensor_cores.cuh does the same on the host.
#include <mma.h>

#include "ops/cuda/device.cuh"

namespace weightscope::ops::cuda {

/// to[r][c] = Σ_k a[r][k] · b[k][c], 16 x 16, `depth` a multiple of 16; with ByColumn b lies as b[c][k]. All
/// in shared memory, 32-byte aligned; from row to row a multiple of 8 elements (of 4 floats in `to`). Sums in
/// float32.
template <bool ByColumn>
__device__ inline void tensor_product(const bf16* a, int row_a, const bf16* b, int row_b, int depth,
                                      float* to, int row_to) {
  using namespace nvcuda::wmma;
  fragment<accumulator, 16, 16, 16, float> sum;
  fill_fragment(sum, 0.0f);
  for (int k = 0; k < depth; k += 16) {
    fragment<matrix_a, 16, 16, 16, bf16, row_major> left;
    load_matrix_sync(left, a + k, static_cast<unsigned>(row_a));
    fragment<matrix_b, 16, 16, 16, bf16, std::conditional_t<ByColumn, col_major, row_major>> right;
    load_matrix_sync(right, ByColumn ? b + k : b + k * row_b, static_cast<unsigned>(row_b));
    mma_sync(sum, left, right, sum);
  }
  store_matrix_sync(to, sum, static_cast<unsigned>(row_to), mem_row_major);
}

}  // namespace weightscope::ops::cuda
