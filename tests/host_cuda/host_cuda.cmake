# Device code on the host: CUDA sources compiled as C++ with tests/host_cuda before src among the include directories.
# Needs CUDA's headers only, which the LibTorch wheel brings.
find_path(CUDA_RUNTIME_HEADERS crt/host_defines.h HINTS "${TORCH_ROOT}/../nvidia/cu13/include" ${CUDAToolkit_INCLUDE_DIRS} /usr/local/cuda/include)

# A test that cannot be built here is counted as skipped instead of being forgotten.
function(weightscope_not_built name why)
  add_test(NAME ${name} COMMAND ${CMAKE_COMMAND} -E echo "not built: ${why}")
  set_tests_properties(${name} PROPERTIES LABELS "fast" SKIP_REGULAR_EXPRESSION "not built")
endfunction()

# weightscope_on_host(TARGET [RUNTIME file of tests/] SOURCES ...): sources of src/, for a test whose module they belong to, with
# another runtime than host_cuda/streams.cpp if they need one.
function(weightscope_on_host target)
  cmake_parse_arguments(ARG "" "RUNTIME" "SOURCES" ${ARGN})
  if(NOT ARG_RUNTIME)
    set(ARG_RUNTIME host_cuda/streams.cpp)
  endif()
  list(TRANSFORM ARG_SOURCES PREPEND "${PROJECT_SOURCE_DIR}/src/")
  set(kernels ${ARG_SOURCES})
  list(FILTER kernels INCLUDE REGEX "[.]cu$")
  set(runtime ${PROJECT_SOURCE_DIR}/tests/${ARG_RUNTIME} ${PROJECT_SOURCE_DIR}/tests/host_cuda/fibers.cpp)
  target_sources(${target} PRIVATE ${ARG_SOURCES} ${runtime})
  set_source_files_properties(${kernels} PROPERTIES LANGUAGE CXX
    COMPILE_OPTIONS "-Wno-unknown-pragmas;-fno-strict-aliasing")
  # Hidden: a LibTorch with CUDA keeps its own runtime. Not fortified: longjmp may go from stack to stack.
  set_source_files_properties(${runtime} PROPERTIES COMPILE_OPTIONS "-fvisibility=hidden;-U_FORTIFY_SOURCE")
  target_include_directories(${target} BEFORE PRIVATE ${PROJECT_SOURCE_DIR}/tests/host_cuda ${PROJECT_SOURCE_DIR}/tests)
  target_include_directories(${target} SYSTEM PRIVATE ${CUDA_RUNTIME_HEADERS})
endfunction()
