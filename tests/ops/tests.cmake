foreach(name layer_norm qk_norm gelu cross_entropy embedding dropout attention attention_kernels attention_logits linear optimizer instruction_sets)
  weightscope_test(ops/${name}.test.cpp LINK ops PRIVATE Torch::cpu LABELS fast)
  target_precompile_headers(test_ops_${name} REUSE_FROM weightscope_ops)
endforeach()
