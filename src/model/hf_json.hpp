#pragma once
// Private to model: config.json of Hugging Face directories.
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace weightscope {

/// A JSON object whose problems are Error{input}, naming the file and the key.
class HfJson {
 public:
  explicit HfJson(const std::filesystem::path& file);
  [[noreturn]] void fail(const std::string& why) const;
  /// Between 1 and 2^24.
  int integer(const char* key) const;
  bool has(const char* key) const { return json_.contains(key) && !json_[key].is_null(); }
  /// Error where the value has another type than `otherwise`.
  template <class T>
  T value(const char* key, const T& otherwise) const {
    try {
      return json_.value(key, otherwise);
    } catch (const nlohmann::json::exception& e) {
      fail(e.what());
    }
  }

 private:
  std::filesystem::path file_;
  nlohmann::json json_;
};

}  // namespace weightscope
