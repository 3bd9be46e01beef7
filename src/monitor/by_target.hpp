#pragma once
#include <cstddef>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "comm/host_comm.hpp"
#include "core/weight_slice.hpp"

namespace weightscope {

struct SnapshotShape {
  int layers = 0, heads = 0, parameters = 0;
};

/// Owner rank of each slice: largest first to the least loaded rank; a pure function of the sizes and the
/// world size.
std::vector<int> share_out(std::span<const WeightSlice> slices, int world);

/// Something measured of every slice, along the axes of the file: components[layer·7 + component],
/// heads[(layer·3 + qkv)·H + head], parameters[index].
template <class T>
struct ByTarget {
  std::vector<T> components, heads, parameters;
};

inline bool is_third(Component c) { return c == Component::q || c == Component::k || c == Component::v; }

/// Heads → q, k, v → c_attn → parameter, each by merge() in the order of its index, whatever the order of the
/// slices. measured: one of each slice.
template <class T>
ByTarget<T> put_together(std::span<const WeightSlice> slices, const std::vector<T>& measured,
                         SnapshotShape shape) {
  constexpr std::size_t kComponents = kComponentNames.size();
  const auto size = [](int n) { return static_cast<std::size_t>(n); };
  const auto place = [](Component c) { return static_cast<std::size_t>(c); };
  ByTarget<T> all;
  all.components.resize(size(shape.layers) * kComponents);
  all.heads.resize(size(shape.layers) * 3 * size(shape.heads));
  all.parameters.resize(size(shape.parameters));
  for (std::size_t i = 0; i < slices.size(); ++i) {
    const auto& s = slices[i];
    if (s.head >= 0)
      all.heads[(size(s.layer) * 3 + place(s.component) - place(Component::q)) * size(shape.heads) +
                size(s.head)] = measured[i];
    else if (s.component != Component::none)
      all.components[size(s.layer) * kComponents + place(s.component)] = measured[i];
  }
  for (std::size_t layer = 0; layer < size(shape.layers); ++layer) {
    T* row = &all.components[layer * kComponents];
    for (std::size_t part = 0; part < 3; ++part) {
      for (std::size_t h = 0; h < size(shape.heads); ++h)
        merge(row[1 + part], all.heads[(layer * 3 + part) * size(shape.heads) + h]);
      merge(row[0], row[1 + part]);
    }
  }
  for (std::size_t i = 0; i < slices.size(); ++i) {
    auto& parameter = all.parameters[size(slices[i].parameter_index)];
    if (is_third(slices[i].component))
      parameter = all.components[size(slices[i].layer) * kComponents];
    else
      merge(parameter, measured[i]);
  }
  return all;
}

/// What every rank has of the slices it owns, in their order, put together on rank 0; nothing on the others.
/// Collective.
template <class T>
ByTarget<T> gather_by_target(const HostComm& host, std::span<const WeightSlice> slices,
                             const std::vector<int>& owner, SnapshotShape shape, std::span<const T> mine) {
  static_assert(std::is_trivially_copyable_v<T>, "measurements travel as bytes");
  const auto gathered = host.gather(std::as_bytes(mine));
  if (!host.is_root()) return {};
  std::vector<T> ordered(owner.size());
  std::vector<std::size_t> taken(gathered.size());
  for (std::size_t i = 0; i < owner.size(); ++i) {
    const auto r = static_cast<std::size_t>(owner[i]);
    std::memcpy(&ordered[i], gathered[r].data() + taken[r]++ * sizeof(T), sizeof(T));
  }
  return put_together<T>(slices, ordered, shape);
}

}  // namespace weightscope
