set(nccl_source nccl_backend_stub.cpp)
set(nccl_libraries "")
if(WEIGHTSCOPE_CUDA)
  set(nccl_source nccl_backend.cpp nccl_sum.cpp nccl_watch.cpp device_sum.cu)
  set(nccl_libraries NCCL::nccl CUDA::cudart)
endif()
weightscope_module(comm DEPS core PRIVATE MPI::MPI_CXX ${nccl_libraries}
  SOURCES host_comm.cpp watchdog.cpp tensor_comm.cpp mpi_backend.cpp mpi_version.cpp node_memory.cpp node_mapping.cpp leader_reduce.cpp piece_sum.cpp ${nccl_source})
