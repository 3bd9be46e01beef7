# CUDNN::cudnn with the header-only C++ interface (cudnn-frontend). The copy that libtorch_cuda.so loads must be the one
# that is linked. Searched: the wheels beside torch, CUDNN_HOME, the CUDA toolkit.
set(_wheels "${TORCH_ROOT}/..")
find_path(CUDNN_INCLUDE_DIR cudnn.h HINTS "${_wheels}/nvidia/cudnn/include" $ENV{CUDNN_HOME}/include ${CUDAToolkit_INCLUDE_DIRS})
find_path(CUDNN_FRONTEND_INCLUDE_DIR cudnn_frontend.h HINTS "${_wheels}/include" $ENV{CUDNN_FRONTEND_HOME}/include)
find_library(CUDNN_LIBRARY NAMES libcudnn.so.9 cudnn
  HINTS "${_wheels}/nvidia/cudnn/lib" $ENV{CUDNN_HOME}/lib ${CUDAToolkit_LIBRARY_DIR})
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CUDNN REQUIRED_VARS CUDNN_LIBRARY CUDNN_INCLUDE_DIR CUDNN_FRONTEND_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "name them: CUDNN_HOME=DIR and CUDNN_FRONTEND_HOME=DIR, or build for CPUs: ./launch/setup.sh --cuda off")
if(CUDNN_FOUND AND NOT TARGET CUDNN::cudnn)
  add_library(CUDNN::cudnn UNKNOWN IMPORTED)
  set_target_properties(CUDNN::cudnn PROPERTIES IMPORTED_LOCATION "${CUDNN_LIBRARY}"
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${CUDNN_INCLUDE_DIR};${CUDNN_FRONTEND_INCLUDE_DIR}"
    INTERFACE_INCLUDE_DIRECTORIES "${CUDNN_INCLUDE_DIR};${CUDNN_FRONTEND_INCLUDE_DIR}")
endif()
