weightscope_test(app/cores.test.cpp LINK app LABELS fast)
