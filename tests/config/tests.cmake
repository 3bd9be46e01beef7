weightscope_test(config/config.test.cpp LINK config LABELS fast)
weightscope_test(config/strict_yaml.test.cpp LINK config LABELS fast)
weightscope_test(config/hostile.test.cpp LINK config LABELS fast)
weightscope_test(config/shipped.test.cpp LINK config LABELS fast)
