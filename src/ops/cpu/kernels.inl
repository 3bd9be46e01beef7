// Compiled once per instruction set, into a namespace of its own. Nothing here may come from the standard
// library's inline templates: the linker keeps one copy of those for the whole program, possibly one with
// AVX-512 in it.
#include <omp.h>

#include "ops/cpu/kernels.hpp"
#include "ops/cpu/scratch.hpp"

#include "ops/cpu/numbers.inl"

#include "ops/cpu/reductions.inl"

#include "ops/cpu/layer_norm.inl"

#include "ops/cpu/qk_norm.inl"

#include "ops/cpu/gelu.inl"

#include "ops/cpu/cross_entropy.inl"

#include "ops/cpu/embedding.inl"

#include "ops/cpu/adamw.inl"

#include "ops/cpu/vectors.inl"

#include "ops/cpu/philox.inl"

#include "ops/cpu/dropout.inl"

#include "ops/cpu/attention/words.inl"

#include "ops/cpu/attention/product.inl"

#include "ops/cpu/attention/pack.inl"

#include "ops/cpu/attention/prefetch.inl"

#include "ops/cpu/attention/tasks.inl"

#include "ops/cpu/attention/forward.inl"

#include "ops/cpu/attention/backward_tiles.inl"

#include "ops/cpu/attention/backward.inl"

namespace weightscope::cpu::WEIGHTSCOPE_ISA {

#define WEIGHTSCOPE_TEXT_(x) #x
#define WEIGHTSCOPE_TEXT(x) WEIGHTSCOPE_TEXT_(x)

template <class T>
constexpr Typed<T> kTyped{
    residual_layer_norm<T>, layer_norm_backward<T>, qk_norm<T>, qk_norm_backward<T>, gelu<T>,
    gelu_backward<T>,       column_sum<T>,          add_to<T>,  cross_entropy<T>,    dropout<T>,
    attention<T>,           attention_backward<T>};

constexpr Kernels kTable{WEIGHTSCOPE_TEXT(WEIGHTSCOPE_ISA),
                         kTyped<float>,
                         kTyped<bf16>,
                         embedding,
                         embedding_backward,
                         sum_of_squares,
                         squares_of_blocks,
                         sum_parts,
                         adamw};

}  // namespace weightscope::cpu::WEIGHTSCOPE_ISA
