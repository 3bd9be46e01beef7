# The block kernel is compiled once per instruction set; monitor/cpu/dispatch.cpp tells which ones run here.
# -fno-math-errno -fno-trapping-math leave every value as it is; -ffp-contract=off comes from weightscope_flags.
add_library(weightscope_block_kernels OBJECT
  monitor/cpu/kernel_generic.cpp monitor/cpu/kernel_avx2.cpp monitor/cpu/kernel_avx512.cpp)
target_link_libraries(weightscope_block_kernels PRIVATE weightscope_flags)
target_compile_options(weightscope_block_kernels PRIVATE -O3 -fno-math-errno -fno-trapping-math -Wno-psabi)
set_source_files_properties(monitor/cpu/kernel_generic.cpp PROPERTIES COMPILE_OPTIONS "-march=x86-64")
set_source_files_properties(monitor/cpu/kernel_avx2.cpp PROPERTIES COMPILE_OPTIONS "-march=x86-64-v3")
set_source_files_properties(monitor/cpu/kernel_avx512.cpp PROPERTIES
  COMPILE_OPTIONS "-march=x86-64-v4;-mprefer-vector-width=512")

set(monitor_device cuda/device_meter_stub.cpp)
set(monitor_device_libraries "")
if(WEIGHTSCOPE_CUDA)
  set(monitor_device cuda/device_meter.cpp cuda/tile_stats.cu)
  set(monitor_device_libraries CUDA::cudart)
  # relaxed-constexpr: the kernels call the constexpr functions of bins.hpp and digest_term.hpp. -std: CMake 3.25
  # does not know which standards nvcc 13 has.
  set_source_files_properties(monitor/cuda/tile_stats.cu PROPERTIES
    COMPILE_OPTIONS "-std=c++20;--expt-relaxed-constexpr;--fmad=false")
endif()
weightscope_module(monitor DEPS core comm PRIVATE ${monitor_device_libraries}
  SOURCES summary.cpp statistics.cpp blocks.cpp tiles.cpp measure.cpp scaled.cpp norm_budget.cpp power_law.cpp measure_reference.cpp cpu/dispatch.cpp
    share_out.cpp snapshot.cpp digest.cpp ${monitor_device})
target_sources(weightscope_monitor PRIVATE $<TARGET_OBJECTS:weightscope_block_kernels>)
# By flag, not by target: LibTorch brings its own libgomp.so.1, and only one may be named.
target_compile_options(weightscope_monitor PRIVATE $<$<COMPILE_LANGUAGE:CXX>:${OpenMP_CXX_FLAGS}>)
target_link_options(weightscope_monitor PUBLIC ${OpenMP_CXX_FLAGS})
