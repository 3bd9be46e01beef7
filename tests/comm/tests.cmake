weightscope_test(comm/host_comm.test.cpp LINK comm RANKS 1 2 3 4 LABELS fast)
weightscope_test(comm/tensor_comm.test.cpp LINK comm RANKS 1 2 3 4 LABELS fast)
