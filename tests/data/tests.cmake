foreach(name token_file sampler tokenizer)
  weightscope_test(data/${name}.test.cpp LINK data PRIVATE nlohmann_json::nlohmann_json LABELS fast)
endforeach()
weightscope_test(data/loader.test.cpp LINK data LABELS fast threads)
