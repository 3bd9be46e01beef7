weightscope_test(comm/host_comm.test.cpp LINK comm RANKS 1 2 3 4 LABELS fast threads)
weightscope_test(comm/tensor_comm.test.cpp LINK comm RANKS 1 2 3 4 LABELS fast threads)
weightscope_test(comm/watchdog.test.cpp LINK comm RANKS 1 2 LABELS fast threads)

# The NCCL backend itself, with the substitute in place of NCCL and CUDA: needs their headers only, which the LibTorch wheel brings.
find_path(NCCL_HEADERS nccl.h HINTS "${TORCH_ROOT}/../nvidia/nccl/include" ${CUDAToolkit_INCLUDE_DIRS})
if(NCCL_HEADERS AND CUDA_RUNTIME_HEADERS)
  weightscope_test(comm/nccl_backend.test.cpp LINK core PRIVATE MPI::MPI_CXX RANKS 1 2 3 4 LABELS fast)
  target_sources(test_comm_nccl_backend PRIVATE comm/fake_nccl.cpp ${PROJECT_SOURCE_DIR}/src/comm/nccl_backend.cpp
    ${PROJECT_SOURCE_DIR}/src/comm/nccl_watch.cpp
    ${PROJECT_SOURCE_DIR}/src/comm/host_comm.cpp ${PROJECT_SOURCE_DIR}/src/comm/mpi_backend.cpp
    ${PROJECT_SOURCE_DIR}/src/comm/watchdog.cpp)
  target_include_directories(test_comm_nccl_backend SYSTEM PRIVATE ${NCCL_HEADERS} ${CUDA_RUNTIME_HEADERS})
else()
  message(STATUS "no nccl.h: the NCCL backend is not tested")
endif()
