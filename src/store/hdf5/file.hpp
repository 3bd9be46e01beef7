#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "store/hdf5/disk.hpp"
#include "store/hdf5/handle.hpp"
#include "store/hdf5/values.hpp"

namespace weightscope::hdf5 {

/// One open HDF5 file. Every call is checked and throws Error naming the file: Error{output} for files opened
/// to write, Error{input} for others. Files are written in the oldest format that can hold them (any HDF5
/// >= 1.8 reads them) and never locked by HDF5: the run directory is, and readers must not be able to stop a
/// run.
class File {
 public:
  static File create(const std::filesystem::path& path);  ///< refuses to replace a file
  static File open_to_read(const std::filesystem::path& path, Fault fault = Fault::input);
  static File open_to_change(const std::filesystem::path& path);
  /// Without it the file is closed too, but nobody hears whether that worked.
  void close();
  const std::filesystem::path& path() const { return path_; }

  bool has(const std::string& object) const;  ///< "std", "train", "train/loss"
  void set_attribute(const std::string& name, const std::string& text);
  void set_attribute(const std::string& name, std::int64_t number);
  std::string text_attribute(const std::string& name) const;
  std::int64_t integer_attribute(const std::string& name) const;

  void make_group(const std::string& name);
  void set_attribute(const std::string& group, const std::string& name, std::int64_t number);
  /// One text becomes a scalar, several a list.
  void set_attribute(const std::string& group, const std::string& name,
                     const std::vector<std::string>& texts);
  /// A second name of a dataset: a hard link.
  void link(const std::string& dataset, const std::string& name);
  /// Empty if it grows, chunks of at most `chunk_rows` rows then. Scales before the datasets that use them.
  void make(const DatasetSpec& spec, std::uint64_t chunk_rows);
  std::uint64_t rows(const std::string& path) const;
  /// Rows [begin, begin + count).
  Values read(const DatasetSpec& spec, std::uint64_t begin, std::uint64_t count) const;
  Values read(const DatasetSpec& spec) const { return read(spec, 0, rows(spec.path)); }
  /// From row `begin` on; a dataset that grows becomes as long as needed.
  void write(const DatasetSpec& spec, std::uint64_t begin, const Values& values);

 private:
  File(std::filesystem::path path, Fault fault, std::unique_ptr<DiskState> disk, Handle id)
      : path_(std::move(path)), fault_(fault), disk_(std::move(disk)), id_(std::move(id)) {}
  void check(std::int64_t status, const std::string& what) const;
  Handle dataset(const std::string& path) const;
  void attach_scales(const DatasetSpec& spec, Id dataset) const;

  std::filesystem::path path_;
  Fault fault_;
  std::unique_ptr<DiskState> disk_;  ///< of files opened to write
  Handle id_;
};

}  // namespace weightscope::hdf5
