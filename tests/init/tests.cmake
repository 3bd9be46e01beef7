weightscope_test(init/schemes.test.cpp LINK init LABELS fast)
weightscope_test(init/distribution.test.cpp LINK init LABELS fast)
