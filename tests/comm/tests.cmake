weightscope_test(comm/host_comm.test.cpp LINK comm RANKS 1 2 3 4 LABELS fast threads)
weightscope_test(comm/tensor_comm.test.cpp LINK comm RANKS 1 2 3 4 LABELS fast threads)
weightscope_test(comm/watchdog.test.cpp LINK comm RANKS 1 2 LABELS fast threads)

# The NCCL backend itself, with the substitute in place of NCCL and CUDA: needs their headers only, which the LibTorch wheel brings.
find_path(NCCL_HEADERS nccl.h HINTS "${TORCH_ROOT}/../nvidia/nccl/include" ${CUDAToolkit_INCLUDE_DIRS})
if(NCCL_HEADERS AND CUDA_RUNTIME_HEADERS)
  weightscope_test(comm/nccl_backend.test.cpp LINK core PRIVATE MPI::MPI_CXX RANKS 1 2 3 4 LABELS fast)
  weightscope_on_host(test_comm_nccl_backend RUNTIME comm/fake_nccl.cpp SOURCES comm/nccl_backend.cpp comm/nccl_sum.cpp comm/nccl_watch.cpp
    comm/device_sum.cu comm/host_comm.cpp comm/mpi_backend.cpp comm/piece_sum.cpp comm/watchdog.cpp)
  target_include_directories(test_comm_nccl_backend SYSTEM PRIVATE ${NCCL_HEADERS})
else()
  message(STATUS "no nccl.h: the NCCL backend is not tested")
endif()
