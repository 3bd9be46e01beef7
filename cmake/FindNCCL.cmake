# NCCL::nccl. The copy that libtorch_cuda.so loads must be the one that is linked: two NCCLs in a process break.
# Searched: the nvidia wheel beside torch, NCCL_HOME, the CUDA toolkit. The wheel has no libnccl.so link, only libnccl.so.2.
find_path(NCCL_INCLUDE_DIR nccl.h
  HINTS "${TORCH_ROOT}/../nvidia/nccl/include" $ENV{NCCL_HOME}/include ${CUDAToolkit_INCLUDE_DIRS} NO_DEFAULT_PATH)
find_library(NCCL_LIBRARY NAMES libnccl.so.2 nccl
  HINTS "${TORCH_ROOT}/../nvidia/nccl/lib" $ENV{NCCL_HOME}/lib ${CUDAToolkit_LIBRARY_DIR} NO_DEFAULT_PATH)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(NCCL REQUIRED_VARS NCCL_LIBRARY NCCL_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "name it: NCCL_HOME=DIR with include/nccl.h, or build for CPUs: ./launch/setup.sh --cuda off")
if(NCCL_FOUND AND NOT TARGET NCCL::nccl)
  add_library(NCCL::nccl UNKNOWN IMPORTED)
  set_target_properties(NCCL::nccl PROPERTIES IMPORTED_LOCATION "${NCCL_LIBRARY}" INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${NCCL_INCLUDE_DIR}"
    INTERFACE_INCLUDE_DIRECTORIES "${NCCL_INCLUDE_DIR}")
endif()
