weightscope_test(store/run_lock.test.cpp LINK store LABELS fast)
weightscope_test(store/safetensors.test.cpp LINK store LABELS fast)
weightscope_test(store/checkpoint.test.cpp LINK store LABELS fast)
