# The CPU kernels are compiled once per instruction set; ops/cpu/dispatch.cpp picks at run time. Their options are set
# on the files, because those come last: after the -ffp-contract=off of weightscope_flags.
set(kernel_optimization -O3)
if(WEIGHTSCOPE_SANITIZE)
  set(kernel_optimization -O1)  # instrumented kernels at -O3 take the compiler ten minutes each
endif()
set(kernel_flags ${kernel_optimization} -fno-math-errno -fno-trapping-math -ffp-contract=fast -fno-semantic-interposition)
set(kernel_flags_generic -march=x86-64)  # also where CXXFLAGS say native: lanes are those of the file
set(kernel_flags_avx2 -march=x86-64-v3)
set(kernel_flags_avx512 -march=x86-64-v4 -mprefer-vector-width=512)
set(kernel_flags_avx512bf16 ${kernel_flags_avx512} -mavx512bf16)
add_library(weightscope_cpu_kernels OBJECT)
target_link_libraries(weightscope_cpu_kernels PRIVATE weightscope_flags)
foreach(isa generic avx2 avx512 avx512bf16)
  target_sources(weightscope_cpu_kernels PRIVATE ${PROJECT_SOURCE_DIR}/src/ops/cpu/kernels_${isa}.cpp)
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/ops/cpu/kernels_${isa}.cpp PROPERTIES
    COMPILE_OPTIONS "${kernel_flags};${kernel_flags_${isa}}")
endforeach()

set(device_sources cuda/ops_stub.cpp)
set(device_libraries Torch::cpu)
if(WEIGHTSCOPE_CUDA)
  set(kernels layer_norm column_sum gelu cross_entropy embedding dropout optimizer qk_norm attention_forward attention_backward)
  list(TRANSFORM kernels REPLACE "(.+)" "cuda/\\1.cu")
  set(device_sources cuda/fused.cpp cuda/device_update.cpp cuda/products.cpp cuda/workbench.cpp cuda/matmul.cpp cuda/cudnn_attention.cpp ${kernels})
  set(device_libraries Torch::cuda CUDA::cudart CUDA::cublasLt CUDNN::cudnn)
  # As in monitor: CMake 3.25 does not know which standards nvcc 13 has; the kernels call constexpr functions.
  list(TRANSFORM kernels PREPEND ${PROJECT_SOURCE_DIR}/src/ops/ OUTPUT_VARIABLE kernel_files)
  set_source_files_properties(${kernel_files} PROPERTIES COMPILE_OPTIONS "-std=c++20;--expt-relaxed-constexpr")
  # The headers of libraries: neither our warnings nor LibTorch's precompiled header.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/ops/cuda/cudnn_attention.cpp ${PROJECT_SOURCE_DIR}/src/ops/cuda/matmul.cpp
    PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
  # -O2 takes half as long again (50 against 33 s), over templates of cudnn-frontend that run once per shape.
  set_source_files_properties(${PROJECT_SOURCE_DIR}/src/ops/cuda/cudnn_attention.cpp PROPERTIES COMPILE_OPTIONS -O1)
endif()
weightscope_module(ops DEPS core PRIVATE ${device_libraries}
  SOURCES gemm.cpp linear.cpp widened.cpp layer_norm.cpp qk_norm.cpp gelu.cpp attention.cpp attention_logits.cpp cross_entropy.cpp embedding.cpp drop.cpp dropout.cpp optimizer.cpp
    cpu/dispatch.cpp cpu/scratch.cpp
    reference/layer_norm.cpp reference/qk_norm.cpp reference/gelu.cpp reference/attention.cpp reference/cross_entropy.cpp
    reference/embedding.cpp reference/dropout.cpp reference/optimizer.cpp ${device_sources})
target_sources(weightscope_ops PRIVATE $<TARGET_OBJECTS:weightscope_cpu_kernels>)
target_precompile_headers(weightscope_ops PRIVATE <ATen/ATen.h>)
