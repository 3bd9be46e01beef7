#pragma once
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace weightscope::hdf5 {

/// Elements of one dataset, row-major. Type names the alternatives in their order.
using Values = std::variant<std::vector<double>, std::vector<std::int64_t>, std::vector<std::int32_t>,
                            std::vector<std::uint64_t>, std::vector<std::string>>;
enum class Type : std::size_t { f64, i64, i32, u64, text };

Values empty(Type type);
std::size_t size(const Values& values);
void append(Values& to, const Values& more);  ///< of the same type
/// First element whose bits differ, or size() of the shorter one; −1 when equal.
std::int64_t first_difference(const Values& a, const Values& b);
std::string element_text(const Values& values, std::size_t at);  ///< enough digits to tell doubles apart

/// A dimension: the path of the dataset that is its scale, and how long it is.
struct Axis {
  std::string scale;
  std::uint64_t size = 0;
  bool grows = false;
};

/// Everything about a dataset that does not change.
struct DatasetSpec {
  std::string path;  ///< "std", "train/loss"
  Type type = Type::f64;
  std::vector<Axis> axes;  ///< only the first may grow
  std::string unit, meaning;
  bool compressed = false;

  bool grows() const { return axes.front().grows; }
  bool is_scale() const { return axes.size() == 1 && axes.front().scale == path; }
  std::uint64_t row_size() const {
    std::uint64_t n = 1;
    for (std::size_t i = 1; i < axes.size(); ++i) n *= axes[i].size;
    return n;
  }
};

}  // namespace weightscope::hdf5
