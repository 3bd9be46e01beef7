#include "store/hdf5/file.hpp"

#include <hdf5.h>

#include <cerrno>

#include "store/hdf5/text_type.hpp"

namespace weightscope::hdf5 {
namespace {

Handle access_properties() {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // errors become exceptions, not lines on stderr
  // A file from elsewhere opens no other file and loads no code: links to other files mean nothing, and
  // filters are those that HDF5 has built in.
  static const bool alone =
      H5open() >= 0 && H5Lunregister(H5L_TYPE_EXTERNAL) >= 0 && H5PLset_loading_state(0) >= 0;
  require(alone, Fault::internal, "HDF5 cannot be kept from opening other files");
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_V18);
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_STRONG);
  H5Pset_file_locking(access.get(), false, true);
  return access;
}

/// Readers list links in the order of their creation, which is that of the schema.
Handle in_order(Id property_class) {
  Handle properties(H5Pcreate(property_class), H5Pclose);
  H5Pset_link_creation_order(properties.get(), H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
  return properties;
}

/// What the system said is the reason; what HDF5 made of it is not.
[[noreturn]] void fail_on_disk(const DiskState& disk, const std::string& what,
                               const std::filesystem::path& path) {
  if (disk.error == 0) fail(Fault::output, what, path);
  errno = disk.error;
  throw Error(Fault::output, system_message(what, path.string()));
}

}  // namespace

File File::create(const std::filesystem::path& path) {
  const auto access = access_properties(), order = in_order(H5P_FILE_CREATE);
  auto disk = std::make_unique<DiskState>();
  use_disk_driver(access.get(), *disk);
  Handle id(H5Fcreate(path.c_str(), H5F_ACC_EXCL, order.get(), access.get()), H5Fclose);
  if (!id.valid()) fail_on_disk(*disk, "cannot create", path);
  return File(path, Fault::output, std::move(disk), std::move(id));
}

File File::open_to_read(const std::filesystem::path& path, Fault fault) {
  const auto access = access_properties();  // closed before the error is read, they would take it along
  Handle id(H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose);
  if (!id.valid()) fail(fault, "cannot read", path);
  return File(path, fault, nullptr, std::move(id));
}

File File::open_to_change(const std::filesystem::path& path) {
  const auto access = access_properties();
  auto disk = std::make_unique<DiskState>();
  use_disk_driver(access.get(), *disk);
  Handle id(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), H5Fclose);
  if (!id.valid()) fail_on_disk(*disk, "cannot open", path);
  return File(path, Fault::output, std::move(disk), std::move(id));
}

void File::close() {
  const bool closed = id_.close();
  if (disk_ && disk_->error != 0) fail_on_disk(*disk_, "cannot write", path_);
  if (!closed) fail(fault_, "cannot close", path_);
}

void File::check(std::int64_t status, const std::string& what) const {
  if (status >= 0) return;
  if (disk_ && disk_->error != 0) fail_on_disk(*disk_, "cannot write", path_);
  fail(fault_, what + " in", path_);
}

bool File::has(const std::string& object) const {
  const auto slash = object.find('/');
  if (slash != std::string::npos && H5Lexists(id_.get(), object.substr(0, slash).c_str(), H5P_DEFAULT) <= 0)
    return false;
  return H5Lexists(id_.get(), object.c_str(), H5P_DEFAULT) > 0;
}

void File::set_attribute(const std::string& name, const std::string& text) {
  if (H5Aexists(id_.get(), name.c_str()) > 0)
    check(H5Adelete(id_.get(), name.c_str()), "cannot replace " + name);
  set_attribute("/", name, std::vector{text});
}

void File::set_attribute(const std::string& name, std::int64_t number) { set_attribute("/", name, number); }

void File::set_attribute(const std::string& group, const std::string& name, std::int64_t number) {
  const Handle space(H5Screate(H5S_SCALAR), H5Sclose);
  const Handle attribute(H5Acreate_by_name(id_.get(), group.c_str(), name.c_str(), H5T_STD_I64LE, space.get(),
                                           H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  check(H5Awrite(attribute.get(), H5T_NATIVE_INT64, &number), "cannot write attribute " + name);
}

void File::set_attribute(const std::string& group, const std::string& name,
                         const std::vector<std::string>& texts) {
  const auto type = text_type();
  const hsize_t count = texts.size();
  const Handle space(count == 1 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &count, nullptr), H5Sclose);
  const Handle attribute(H5Acreate_by_name(id_.get(), group.c_str(), name.c_str(), type.get(), space.get(),
                                           H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  std::vector<const char*> characters;
  for (const auto& text : texts) characters.push_back(text.c_str());
  check(H5Awrite(attribute.get(), type.get(), characters.data()), "cannot write attribute " + name);
}

std::string File::text_attribute(const std::string& name) const {
  const auto type = text_type();
  const Handle attribute(H5Aopen(id_.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
  check(attribute.get(), "no attribute " + name);
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  char* characters = nullptr;
  check(H5Sget_simple_extent_npoints(space.get()) == 1 ? 0 : -1, "attribute " + name + " is not one text");
  check(H5Aread(attribute.get(), type.get(), &characters), "cannot read attribute " + name);
  const std::string text = characters == nullptr ? "" : characters;
  H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, &characters);
  return text;
}

std::int64_t File::integer_attribute(const std::string& name) const {
  const Handle attribute(H5Aopen(id_.get(), name.c_str(), H5P_DEFAULT), H5Aclose);
  check(attribute.get(), "no attribute " + name);
  const Handle space(H5Aget_space(attribute.get()), H5Sclose);
  std::int64_t number = 0;
  check(H5Sget_simple_extent_npoints(space.get()) == 1 ? 0 : -1, "attribute " + name + " is not one number");
  check(H5Aread(attribute.get(), H5T_NATIVE_INT64, &number), "cannot read attribute " + name);
  return number;
}

void File::make_group(const std::string& name) {
  const auto order = in_order(H5P_GROUP_CREATE);
  const Handle group(H5Gcreate2(id_.get(), name.c_str(), H5P_DEFAULT, order.get(), H5P_DEFAULT), H5Gclose);
  check(group.get(), "cannot make group " + name);
}

void File::link(const std::string& dataset, const std::string& name) {
  check(H5Lcreate_hard(id_.get(), dataset.c_str(), id_.get(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
        "cannot link " + dataset + " as " + name);
}

}  // namespace weightscope::hdf5
