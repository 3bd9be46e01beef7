weightscope_module(init DEPS core SOURCES schemes.cpp distribution.cpp orthogonal.cpp)
