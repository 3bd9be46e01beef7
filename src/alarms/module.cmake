weightscope_module(alarms DEPS core SOURCES rules.cpp judges.cpp watch.cpp)
