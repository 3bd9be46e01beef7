weightscope_test(alarms/rules.test.cpp LINK alarms LABELS fast)
weightscope_test(alarms/watch.test.cpp LINK alarms LABELS fast)
