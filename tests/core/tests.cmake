weightscope_test(core/hash.test.cpp LINK core LABELS fast)
weightscope_test(core/philox.test.cpp LINK core LABELS fast)
weightscope_test(core/file_io.test.cpp LINK core LABELS fast)
weightscope_test(core/hostile.test.cpp LINK core LABELS fast)
