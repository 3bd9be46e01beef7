# The CPU kernels are compiled once per instruction set; ops/cpu/dispatch.cpp picks at run time.
set(kernel_flags -O3 -fopenmp -fno-math-errno -fno-trapping-math -ffp-contract=fast -fno-semantic-interposition)
add_library(weightscope_cpu_kernels OBJECT
  ops/cpu/kernels_generic.cpp ops/cpu/kernels_avx2.cpp ops/cpu/kernels_avx512.cpp ops/cpu/kernels_avx512bf16.cpp)
target_link_libraries(weightscope_cpu_kernels PRIVATE weightscope_flags)
target_compile_options(weightscope_cpu_kernels PRIVATE ${kernel_flags})
set_source_files_properties(ops/cpu/kernels_avx2.cpp PROPERTIES COMPILE_OPTIONS "-march=x86-64-v3")
set_source_files_properties(ops/cpu/kernels_avx512.cpp PROPERTIES COMPILE_OPTIONS "-march=x86-64-v4;-mprefer-vector-width=512")
set_source_files_properties(ops/cpu/kernels_avx512bf16.cpp PROPERTIES
  COMPILE_OPTIONS "-march=x86-64-v4;-mavx512bf16;-mprefer-vector-width=512")

weightscope_module(ops DEPS core PRIVATE Torch::cpu
  SOURCES gemm.cpp linear.cpp widened.cpp layer_norm.cpp gelu.cpp attention.cpp cross_entropy.cpp embedding.cpp dropout.cpp optimizer.cpp cpu/dispatch.cpp
    cpu/scratch.cpp
    reference/layer_norm.cpp reference/gelu.cpp reference/attention.cpp reference/cross_entropy.cpp reference/embedding.cpp
    reference/dropout.cpp reference/optimizer.cpp)
target_sources(weightscope_ops PRIVATE $<TARGET_OBJECTS:weightscope_cpu_kernels>)
target_precompile_headers(weightscope_ops PRIVATE <ATen/ATen.h>)
