#pragma once
// CUB's stable sort of pairs by the low bits of their keys.
#include <algorithm>
#include <numeric>
#include <vector>

#include "host_cuda/streams.hpp"

namespace cub {

struct DeviceRadixSort {
  template <class Key, class Value>
  static cudaError_t SortPairs(void* scratch, std::size_t& bytes, const Key* keys, Key* sorted_keys,
                               const Value* values, Value* sorted_values, int n, int begin_bit = 0,
                               int end_bit = 8 * sizeof(Key), cudaStream_t stream = nullptr) {
    if (scratch == nullptr) {
      bytes = 256;
      return cudaSuccess;
    }
    weightscope::host_cuda::enqueue(stream, [=] {
      std::vector<int> order(static_cast<std::size_t>(n));
      std::iota(order.begin(), order.end(), 0);
      const Key mask = end_bit >= static_cast<int>(8 * sizeof(Key)) ? ~Key{0} : (Key{1} << end_bit) - 1;
      const auto key = [&](int i) { return (keys[i] & mask) >> begin_bit; };
      std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return key(a) < key(b); });
      for (std::size_t i = 0; i < order.size(); ++i)
        sorted_keys[i] = keys[order[i]], sorted_values[i] = values[order[i]];
    });
    return cudaSuccess;
  }
};

}  // namespace cub
