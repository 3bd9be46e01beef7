weightscope_test(model/gradients.test.cpp LINK model PRIVATE Torch::cpu SECONDS 240)
target_precompile_headers(test_model_gradients PRIVATE <torch/torch.h> <gtest/gtest.h>)
weightscope_test(model/import.test.cpp LINK model PRIVATE Torch::cpu LABELS fast)
target_precompile_headers(test_model_import REUSE_FROM weightscope_ops)
