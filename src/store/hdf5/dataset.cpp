#include <hdf5.h>
#include <hdf5_hl.h>

#include <algorithm>
#include <array>

#include "store/hdf5/file.hpp"
#include "store/hdf5/text_type.hpp"

namespace weightscope::hdf5 {
namespace {

constexpr std::uint64_t kMostElements = std::uint64_t{1} << 40;

struct Types {
  Id in_file, in_memory;
};

Types types_of(Type type, const Handle& text) {
  switch (type) {
    case Type::f64:
      return {H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE};
    case Type::i64:
      return {H5T_STD_I64LE, H5T_NATIVE_INT64};
    case Type::i32:
      return {H5T_STD_I32LE, H5T_NATIVE_INT32};
    case Type::u64:
      return {H5T_STD_U64LE, H5T_NATIVE_UINT64};
    case Type::text:
      break;
  }
  return {text.get(), text.get()};
}

std::vector<hsize_t> extent_of(const DatasetSpec& spec, std::uint64_t rows) {
  std::vector<hsize_t> extent{rows};
  for (std::size_t i = 1; i < spec.axes.size(); ++i) extent.push_back(spec.axes[i].size);
  return extent;
}

Handle creation_properties(const DatasetSpec& spec, std::uint64_t chunk_rows) {
  Handle properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  if (!spec.grows()) return properties;
  auto chunk = extent_of(spec, chunk_rows);
  for (auto& n : chunk) n = std::max<hsize_t>(n, 1);
  H5Pset_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
  if (spec.compressed) H5Pset_shuffle(properties.get()), H5Pset_deflate(properties.get(), 1);
  return properties;
}

/// HDF5 would open any file that a dataset names as the place of its data. (What a link names:
/// access_properties.)
bool keeps_to_its_file(Id dataset) {
  const Handle properties(H5Dget_create_plist(dataset), H5Pclose);
  return properties.valid() && H5Pget_layout(properties.get()) != H5D_VIRTUAL &&
         H5Pget_external_count(properties.get()) == 0;
}

bool set_text(Id object, const char* name, const std::string& text) {
  const auto type = text_type();
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate2(object, name, type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  const char* characters = text.c_str();
  return H5Awrite(attribute.get(), type.get(), &characters) >= 0;
}

/// Rows [begin, begin + count) of a dataset: the selection in the file, and memory of that shape.
struct Selection {
  Handle in_file, in_memory;
};
Selection select(Id dataset, const DatasetSpec& spec, std::uint64_t begin, std::uint64_t count) {
  const auto extent = extent_of(spec, count);
  std::vector<hsize_t> start(extent.size());
  start[0] = begin;
  Selection s{{H5Dget_space(dataset), H5Sclose},
              {H5Screate_simple(static_cast<int>(extent.size()), extent.data(), nullptr), H5Sclose}};
  if (H5Sget_simple_extent_ndims(s.in_file.get()) != static_cast<int>(extent.size()) ||
      H5Sselect_hyperslab(s.in_file.get(), H5S_SELECT_SET, start.data(), nullptr, extent.data(), nullptr) <
          0 ||
      H5Sselect_valid(s.in_file.get()) <= 0)
    s.in_file = Handle();
  return s;
}

}  // namespace

Handle text_type() {
  Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), H5T_VARIABLE);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

Handle File::dataset(const std::string& path) const {
  Handle id(H5Dopen2(id_.get(), path.c_str(), H5P_DEFAULT), H5Dclose);
  check(id.get(), "no dataset " + path);
  check(keeps_to_its_file(id.get()) ? 0 : -1,
        path + " takes its data from other files; this is no experiment");
  return id;
}

void File::make(const DatasetSpec& spec, std::uint64_t chunk_rows) {
  const auto text = text_type();
  const auto now = extent_of(spec, spec.grows() ? 0 : spec.axes.front().size);
  const auto most = extent_of(spec, spec.grows() ? H5S_UNLIMITED : spec.axes.front().size);
  const Handle space(H5Screate_simple(static_cast<int>(now.size()), now.data(), most.data()), H5Sclose);
  const auto properties = creation_properties(spec, chunk_rows);
  Handle id(H5Dcreate2(id_.get(), spec.path.c_str(), types_of(spec.type, text).in_file, space.get(),
                       H5P_DEFAULT, properties.get(), H5P_DEFAULT),
            H5Dclose);
  check(id.get(), "cannot make dataset " + spec.path);
  check(set_text(id.get(), "units", spec.unit) && set_text(id.get(), "long_name", spec.meaning) ? 0 : -1,
        "cannot describe dataset " + spec.path);
  attach_scales(spec, id.get());
  check(id.close() ? 0 : -1, "cannot close dataset " + spec.path);
}

void File::attach_scales(const DatasetSpec& spec, Id id) const {
  if (spec.is_scale()) {
    const auto name = spec.path.substr(spec.path.rfind('/') + 1);
    check(H5DSset_scale(id, name.c_str()), "cannot make a scale of " + spec.path);
    return;
  }
  for (std::size_t i = 0; i < spec.axes.size(); ++i) {
    const auto scale = dataset(spec.axes[i].scale);
    check(H5DSattach_scale(id, scale.get(), static_cast<unsigned>(i)),
          "cannot attach " + spec.axes[i].scale + " to " + spec.path);
  }
}

std::uint64_t File::rows(const std::string& path) const {
  const auto id = dataset(path);
  const Handle space(H5Dget_space(id.get()), H5Sclose);
  std::array<hsize_t, H5S_MAX_RANK> extent{};
  check(H5Sget_simple_extent_dims(space.get(), extent.data(), nullptr), "cannot tell the size of " + path);
  return extent[0];
}

Values File::read(const DatasetSpec& spec, std::uint64_t begin, std::uint64_t count) const {
  const auto text = text_type();
  const auto id = dataset(spec.path);
  auto values = empty(spec.type);
  if (count == 0 || spec.row_size() == 0) return values;
  std::uint64_t elements = 0;
  check(__builtin_mul_overflow(count, spec.row_size(), &elements) || elements > kMostElements ? -1 : 0,
        spec.path + " is impossibly large");
  const auto at = select(id.get(), spec, begin, count);
  check(at.in_file.get(), "rows missing from " + spec.path);
  const auto type = types_of(spec.type, text).in_memory;
  const auto get = [&](void* memory) {
    check(H5Dread(id.get(), type, at.in_memory.get(), at.in_file.get(), H5P_DEFAULT, memory),
          "cannot read " + spec.path);
  };
  std::visit(
      [&](auto& v) {
        v.resize(elements);
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::vector<std::string>>) {
          std::vector<char*> characters(v.size());
          get(characters.data());
          for (std::size_t i = 0; i < v.size(); ++i) v[i] = characters[i] == nullptr ? "" : characters[i];
          H5Dvlen_reclaim(type, at.in_memory.get(), H5P_DEFAULT, characters.data());
        } else {
          get(v.data());
        }
      },
      values);
  return values;
}

void File::write(const DatasetSpec& spec, std::uint64_t begin, const Values& values) {
  const auto elements = size(values), row = static_cast<std::size_t>(spec.row_size());
  if (elements == 0) return;
  require(row > 0 && elements % row == 0 && values.index() == static_cast<std::size_t>(spec.type),
          Fault::internal, "values for " + spec.path + " do not fit its shape");
  const auto text = text_type();
  auto id = dataset(spec.path);
  const auto end = begin + elements / row;
  if (spec.grows() && rows(spec.path) < end)
    check(H5Dset_extent(id.get(), extent_of(spec, end).data()), "cannot extend " + spec.path);
  const auto at = select(id.get(), spec, begin, elements / row);
  check(at.in_file.get(), "values do not fit into " + spec.path);
  std::visit(
      [&](const auto& v) {
        const void* memory = v.data();
        std::vector<const char*> characters;
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::vector<std::string>>) {
          for (const auto& s : v) characters.push_back(s.c_str());
          memory = characters.data();
        }
        check(H5Dwrite(id.get(), types_of(spec.type, text).in_memory, at.in_memory.get(), at.in_file.get(),
                       H5P_DEFAULT, memory),
              "cannot write " + spec.path);
      },
      values);
  check(id.close() ? 0 : -1, "cannot close dataset " + spec.path);
}

}  // namespace weightscope::hdf5
