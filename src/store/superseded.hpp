#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "store/schema.hpp"

namespace weightscope {

/// Rows that an earlier attempt recorded after the checkpoint from which the run goes on. The run computes
/// them again; each is compared bit for bit, all but measurements of time.
class Superseded {
 public:
  /// Rows from `step` on in these files; where two hold the same row, the later file counts.
  Superseded(const std::vector<std::filesystem::path>& files, const ExperimentHeader& header,
             std::int64_t step);
  Superseded() = default;

  void compare(const TrainRow& row);
  void compare(const EvalRow& row);
  void compare(const ProbeRow& row, const ExperimentHeader& header);
  void compare(const SpectraRow& row, const ExperimentHeader& header);
  void compare(const Snapshot& snapshot, const ExperimentHeader& header);

  /// The same for a snapshot that is still in the sealed file.
  void compare_again(const Snapshot& snapshot, const ExperimentHeader& header,
                     const std::filesystem::path& sealed);

  /// True when no row is left to be compared and none differed: the files have no further use.
  bool confirmed() const {
    return differences_.empty() && train_.empty() && eval_.empty() && probe_.empty() && spectra_.empty() &&
           snapshots_.empty();
  }
  const std::vector<std::string>& differences() const { return differences_; }

 private:
  struct Place {
    std::filesystem::path file;
    std::uint64_t row = 0;
  };
  void note(const std::string& line);
  template <class Row>
  void compare_row(const Row& row, std::map<std::int64_t, Row>& earlier, const ExperimentHeader& header);
  void compare_with(const Place& place, const Snapshot& snapshot, const ExperimentHeader& header);

  std::map<std::int64_t, TrainRow> train_;
  std::map<std::int64_t, EvalRow> eval_;
  std::map<std::int64_t, ProbeRow> probe_;
  std::map<std::int64_t, SpectraRow> spectra_;
  std::map<std::int64_t, Place> snapshots_;
  std::vector<std::string> differences_;
};

}  // namespace weightscope
