#include <algorithm>
#include <numeric>

#include "monitor/by_target.hpp"

namespace weightscope {

std::vector<int> share_out(std::span<const WeightSlice> slices, int world) {
  std::vector<std::size_t> by_size(slices.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::stable_sort(by_size.begin(), by_size.end(), [&](std::size_t a, std::size_t b) {
    return slices[a].weights.count > slices[b].weights.count;
  });
  std::vector<std::size_t> load(static_cast<std::size_t>(world));
  std::vector<int> owner(slices.size());
  for (const auto i : by_size) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += slices[i].weights.count;
    owner[i] = static_cast<int>(least - load.begin());
  }
  return owner;
}

}  // namespace weightscope
