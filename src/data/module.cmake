weightscope_module(data DEPS core PRIVATE nlohmann_json::nlohmann_json PkgConfig::sentencepiece
  SOURCES token_file.cpp sampler.cpp loader.cpp tokenizer.cpp prepare.cpp)
