#pragma once
// Everything that grows in an experiment file, for comparisons of whole files.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "store/layout.hpp"

namespace weightscope {

using Content = std::map<std::string, hdf5::Values>;

inline Content content_of(const std::filesystem::path& path) {
  const auto file = hdf5::File::open_to_read(path);
  const auto header = header_of(file);
  Content content;
  for (const auto& spec : growing_datasets(header)) content[spec.path] = file.read(spec);
  for (const auto& fixed : fixed_datasets(header)) content[fixed.spec.path] = file.read(fixed.spec);
  content["parameter_count"] = file.read(parameter_count_spec(header));
  return content;
}

/// Equal bit for bit, apart from how long jobs took and how many there were.
inline void expect_same_content(const std::filesystem::path& a, const std::filesystem::path& b) {
  auto left = content_of(a), right = content_of(b);
  ASSERT_EQ(left.size(), right.size());
  for (const auto& [path, values] : left) {
    if (path.starts_with("segments/")) continue;
    EXPECT_LT(hdf5::first_difference(values, right[path]), 0) << path << " of " << a << " and " << b;
  }
}

inline std::vector<std::int64_t> whole_numbers(const Content& content, const std::string& path) {
  return std::get<std::vector<std::int64_t>>(content.at(path));
}

}  // namespace weightscope
