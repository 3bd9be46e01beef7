#pragma once
#include <span>
#include <variant>
#include <vector>

#include "monitor/snapshot.hpp"
#include "monitor/statistics.hpp"
#include "store/experiment_file.hpp"
#include "store/hdf5/file.hpp"
#include "store/tables.hpp"

namespace weightscope {

inline constexpr std::int64_t kSchemaVersion = 1;
inline constexpr const char* kConventions = "weightscope-1";

/// A dataset whose values are known when the file is made: a coordinate, or a fact about each parameter.
struct FixedDataset {
  hdf5::DatasetSpec spec;
  hdf5::Values values;
};
std::vector<FixedDataset> fixed_datasets(const ExperimentHeader& header);

/// Elements of each parameter: fixed too, but known only from the first snapshot.
hdf5::DatasetSpec parameter_count_spec(const ExperimentHeader& header);
hdf5::Values parameter_counts(const Snapshot& snapshot);

/// A dataset that grows by one row with each snapshot, and where the row comes from.
struct SnapshotDataset {
  struct Derived {
    const std::vector<Measurement> Snapshot::*of;
    double (*value)(const Summary&);
  };
  struct Counted {
    const std::vector<Measurement> Snapshot::*of;
    std::uint64_t (*value)(const Measurement&);
  };
  struct Binned {
    const std::vector<Measurement> Snapshot::*of;
  };
  struct Scaled {  ///< exponents of histograms
    const std::vector<Measurement> Snapshot::*of;
  };
  struct Budgeted {
    const std::vector<NormBudget> Snapshot::*of;
    double (*value)(const NormBudget&);
  };
  using Source = std::variant<std::int64_t Snapshot::*, double Snapshot::*, std::vector<double> Snapshot::*,
                              Derived, Counted, Binned, Scaled, Budgeted>;
  hdf5::DatasetSpec spec;
  Source source;
  Repeatable repeatable = Repeatable::yes;

  /// What the snapshot has not measured is NaN, counts and exponents 0.
  hdf5::Values row(const Snapshot& snapshot) const;
};
/// In the order of the file; the first is snapshot_step, the scale of the others.
std::vector<SnapshotDataset> snapshot_datasets(const ExperimentHeader& header);

/// The axes of a column besides its rows.
std::vector<hdf5::Axis> axes_of(Extent extent, const ExperimentHeader& header);
/// The datasets of one group; first its `row` dataset, if it has one. `rows`: how long a table is that does
/// not grow.
template <class Row>
hdf5::DatasetSpec column_spec(const Table<Row>& table, const Column<Row>& column, std::uint64_t rows,
                              const ExperimentHeader& header) {
  const std::string group(table.group);
  std::vector<hdf5::Axis> axes{{group + "/" + std::string(table.index), rows, table.grows}};
  for (const auto& axis : axes_of(column.extent, header)) axes.push_back(axis);
  const auto type = static_cast<hdf5::Type>(std::visit(
      [](auto member) {
        using Field = std::decay_t<decltype(std::declval<Row>().*member)>;
        return hdf5::Values(std::vector<ElementOf<Field>>()).index();
      },
      column.member));
  return {group + "/" + std::string(column.name), type, std::move(axes), std::string(column.unit),
          std::string(column.meaning)};
}
hdf5::DatasetSpec row_index_spec(std::string_view group, std::uint64_t rows, bool grows);

/// Everything in a sealed file that grows, tables and snapshots.
std::vector<hdf5::DatasetSpec> growing_datasets(const ExperimentHeader& header);
/// Whether tail files have it too.
bool in_tail(const hdf5::DatasetSpec& spec);
/// Whether it only numbers the rows of its table.
bool is_row_index(const hdf5::DatasetSpec& spec);
/// The values of `rows` for a dataset of a table that grows; empty for any other dataset and for row indices.
hdf5::Values table_values(const hdf5::DatasetSpec& spec, const Rows& rows);
/// All rows of a table; none where the file does not have it, and in tables that do not grow no column that
/// it does not have. header: of the file, for tables with columns of more than one value.
template <class Row>
std::vector<Row> read_table(const hdf5::File& file, const ExperimentHeader& header = {}) {
  std::vector<Row> rows;
  const auto& table = table_of<Row>();
  if (!recorded(table, header)) return rows;
  for (const auto& column : table.columns) {
    auto spec = column_spec(table, column, 0, header);
    if (!table.grows && !file.has(spec.path)) continue;  // of a later version than the file
    assign(column, file.read(spec), rows);
  }
  return rows;
}

}  // namespace weightscope
