foreach(name token_file sampler loader tokenizer)
  weightscope_test(data/${name}.test.cpp LINK data PRIVATE nlohmann_json::nlohmann_json LABELS fast)
endforeach()
