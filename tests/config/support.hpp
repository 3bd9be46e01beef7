#pragma once
#include <gtest/gtest.h>

#include "config/config.hpp"
#include "core/error.hpp"

namespace weightscope {

/// The problems of a configuration, one line each; "" when it is fine.
inline std::string problems(const std::string& yaml, const std::vector<Override>& set = {}, int world = 0) {
  try {
    parse_config(yaml, "run.yaml", set, world);
    return "";
  } catch (const Error& e) {
    EXPECT_EQ(e.exit_code(), 2);
    return e.what();
  }
}

}  // namespace weightscope
