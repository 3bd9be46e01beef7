#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "store/experiment_file.hpp"
#include "store/layout.hpp"
#include "store/run_files.hpp"
#include "store/superseded.hpp"

namespace weightscope {

/// What an open experiment file knows besides what is on disk.
struct ExperimentFile::Impl {
  static constexpr std::size_t kMostTailFiles = 64;

  RunFiles files;
  ExperimentHeader header;
  Identity identity;
  Rows pending;  ///< since the last append or seal
  Superseded superseded;
  bool begun = false;                 ///< the segment that is being begun stands in the file
  std::optional<SegmentRow> segment;  ///< the row of this job, as it stands in the file or will
  std::chrono::steady_clock::time_point segment_began = std::chrono::steady_clock::now();
  std::int64_t last_snapshot = -1, updates = 0;
  std::vector<AlarmRow> known_alarms;  ///< of the step at which the run goes on: they may come again
  std::vector<EvalRow> known_evals;    ///< likewise
  std::vector<ProbeRow> known_probes;
  std::vector<SpectraRow> known_spectra;
  bool warned_of_probes = false, warned_of_spectra = false;

  template <class Row>
  std::vector<Row>& pending_rows() {
    return std::get<std::vector<Row>>(pending);
  }
  void check(const Snapshot& snapshot) const;
  void check(const ProbeRow& row) const;
  void check(const SpectraRow& row) const;
  void write_tail(const Snapshot& snapshot) const;
  void segment_goes_to(double seconds);
  void fold_all(const std::string& status);
};

}  // namespace weightscope
