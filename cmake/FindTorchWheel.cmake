# Finds LibTorch by its files, in a Python wheel or an unpacked LibTorch: Torch::cpu, and Torch::cuda when it has one.
# find_package(Torch) of a CUDA wheel demands the CUDA toolkit even for a CPU build, so its config file is not used.
# Searched: Torch_DIR and CMAKE_PREFIX_PATH, CMake's and the environment's (launch/setup.sh looks there, too), then the wheel of
# ${WEIGHTSCOPE_PYTHON} or of .venv.
set(_hints "")
foreach(_dir "${Torch_DIR}" "$ENV{Torch_DIR}")
  if(_dir)
    list(APPEND _hints "${_dir}/../../..")
  endif()
endforeach()
string(REPLACE ":" ";" _prefixes "$ENV{CMAKE_PREFIX_PATH}")
foreach(_prefix IN LISTS CMAKE_PREFIX_PATH _prefixes)
  if(_prefix)
    list(APPEND _hints "${_prefix}" "${_prefix}/../..")
  endif()
endforeach()
# What is named now comes before what an earlier configuration of this build folder found; what lay beside that goes with it.
find_path(_named NAMES include/ATen/ATen.h HINTS ${_hints} NO_DEFAULT_PATH NO_CACHE)
string(REGEX REPLACE "/$" "" _named "${_named}")
if(_named AND TORCH_ROOT AND NOT _named STREQUAL TORCH_ROOT)
  message(STATUS "LibTorch is ${_named} now, was ${TORCH_ROOT}")
  foreach(_beside TORCH_ROOT NCCL_INCLUDE_DIR NCCL_LIBRARY NCCL_HEADERS CUDNN_INCLUDE_DIR CUDNN_FRONTEND_INCLUDE_DIR CUDNN_LIBRARY
      CUDA_RUNTIME_HEADERS)
    unset(${_beside} CACHE)
  endforeach()
endif()
foreach(_python "${WEIGHTSCOPE_PYTHON}" "$ENV{WEIGHTSCOPE_VENV}/bin/python" "${PROJECT_SOURCE_DIR}/.venv/bin/python")
  if(EXISTS "${_python}")
    execute_process(COMMAND "${_python}" -c "import importlib.util as u; print(u.find_spec('torch').submodule_search_locations[0])"
      OUTPUT_VARIABLE _wheel OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    list(APPEND _hints "${_wheel}")
  endif()
endforeach()
find_path(TORCH_ROOT NAMES include/ATen/ATen.h HINTS ${_hints} NO_DEFAULT_PATH)
include(FindPackageHandleStandardArgs)
if(TORCH_ROOT AND EXISTS "${TORCH_ROOT}/include/torch/version.h")
  file(STRINGS "${TORCH_ROOT}/include/torch/version.h" _version REGEX "define TORCH_VERSION_(MAJOR|MINOR|PATCH)")
  string(REGEX REPLACE ".*MAJOR ([0-9]+).*MINOR ([0-9]+).*PATCH ([0-9]+).*" "\\1.\\2.\\3" TorchWheel_VERSION "${_version}")
endif()
find_package_handle_standard_args(TorchWheel REQUIRED_VARS TORCH_ROOT VERSION_VAR TorchWheel_VERSION
  REASON_FAILURE_MESSAGE "run ./launch/setup.sh, or name a LibTorch >= 2.9: Torch_DIR=…/share/cmake/Torch, in the environment or with -D")
if(TorchWheel_FOUND AND NOT TARGET Torch::cpu)
  add_library(Torch::cpu INTERFACE IMPORTED)
  target_include_directories(Torch::cpu SYSTEM INTERFACE "${TORCH_ROOT}/include" "${TORCH_ROOT}/include/torch/csrc/api/include")
  target_link_libraries(Torch::cpu INTERFACE "${TORCH_ROOT}/lib/libtorch_cpu.so" "${TORCH_ROOT}/lib/libc10.so")
  # libtorch_cpu.so of a CUDA wheel names libcupti and libcudart, which lie beside the wheel (its RPATH finds them at run time).
  # The wheel's libraries export half of an old std::filesystem (its remove_all crashes): the system's libstdc++ must be asked first.
  target_link_options(Torch::cpu INTERFACE "LINKER:--allow-shlib-undefined"
    "LINKER:--push-state,--no-as-needed,-lstdc++,--pop-state")
  if(EXISTS "${TORCH_ROOT}/lib/libtorch_cuda.so")
    add_library(Torch::cuda INTERFACE IMPORTED)
    target_link_libraries(Torch::cuda INTERFACE Torch::cpu
      "-Wl,--push-state,--no-as-needed" "${TORCH_ROOT}/lib/libtorch_cuda.so" "${TORCH_ROOT}/lib/libc10_cuda.so"
      "-Wl,--pop-state")
  endif()
endif()
