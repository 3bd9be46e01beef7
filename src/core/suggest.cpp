#include "core/suggest.hpp"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <utility>

namespace weightscope {
namespace {

/// Levenshtein distance.
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

/// What other programs call it: spelled alike, or not at all.
constexpr std::pair<std::string_view, std::string_view> kElsewhere[] = {
    {"gpu", "cuda"}, {"float32", "fp32"}, {"float", "fp32"}, {"bfloat16", "bf16"}};

std::string question(std::string_view name) { return "; did you mean " + std::string(name) + "?"; }

}  // namespace

std::string nearest(const std::string& wrong, const std::vector<std::string>& known) {
  for (const auto& [there, here] : kElsewhere)
    if (wrong == there && std::find(known.begin(), known.end(), here) != known.end()) return question(here);
  const auto best = std::min_element(known.begin(), known.end(), [&](const auto& a, const auto& b) {
    return distance(wrong, a) < distance(wrong, b);
  });
  if (best == known.end() || distance(wrong, *best) > std::max<std::size_t>(2, best->size() / 2)) return "";
  return question(*best);
}

}  // namespace weightscope
