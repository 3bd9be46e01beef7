#pragma once
#include <filesystem>
#include <string>

#include "store/schema.hpp"

namespace weightscope {

/// What tells one run's files from another's.
struct Identity {
  std::string uuid, created;  ///< created: ISO 8601, UTC
};
Identity new_identity();
Identity identity_of(const hdf5::File& file);

/// Chunks for many rows, or for the one row of a tail file.
enum class FileKind { sealed, tail };

/// A complete experiment file without snapshots or rows, /init apart (sealed files only). It is open for
/// changes.
hdf5::File create_layout(const std::filesystem::path& path, const ExperimentHeader& header,
                         const Identity& identity, FileKind kind);
int axis_length(const hdf5::File& file, const char* axis);  ///< of "layer" or "head". Error{input}: absurd
/// The header that made a file. parameter_shapes and init included.
ExperimentHeader header_of(const hdf5::File& file);
/// Refuses what is not an experiment file of a version that this program reads. Error{input}.
void check_is_experiment(const hdf5::File& file);

/// rows(spec) for files whose row index is not stored with the values: 0, 1, … from `begin`.
hdf5::Values row_numbers(std::uint64_t begin, std::size_t count);

}  // namespace weightscope
