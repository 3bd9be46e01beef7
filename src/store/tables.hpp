#pragma once
// The tables of the experiment file that are not snapshots. One row here = one dataset, its unit and its
// meaning.
#include <array>
#include <span>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "store/experiment_file.hpp"
#include "store/hdf5/values.hpp"

namespace weightscope {

template <class Row>
using Member = std::variant<double Row::*, std::int64_t Row::*, int Row::*, std::string Row::*,
                            std::vector<double> Row::*>;

/// How many values a column has in a row, and along which axes: one; one for each head of each block, or for
/// each component; one for the residual stream before each block and after the last.
enum class Extent { one, layer_head, layer_component, residual };

/// Repeatable::no: a measurement of time, which a second attempt need not repeat.
enum class Repeatable { yes, no };

template <class Row>
struct Column {
  std::string_view name, unit, meaning;
  Member<Row> member;
  Repeatable repeatable = Repeatable::yes;
  Extent extent = Extent::one;
};

inline constexpr std::array kTrainColumns{
    Column<TrainRow>{"step", "step", "index of the update, from 0", &TrainRow::step},
    Column<TrainRow>{"loss", "nat", "mean loss of the batch of this step, before the update",
                     &TrainRow::loss},
    Column<TrainRow>{"lr", "1", "learning rate of this update", &TrainRow::lr},
    Column<TrainRow>{"grad_norm", "1", "Euclidean norm of the whole gradient before clipping",
                     &TrainRow::grad_norm},
    Column<TrainRow>{"tokens_per_second", "token/s", "tokens of all ranks over the time of the step",
                     &TrainRow::tokens_per_second, Repeatable::no},
    Column<TrainRow>{"step_seconds", "s", "wall time of the step", &TrainRow::step_seconds, Repeatable::no}};

inline constexpr std::array kEvalColumns{
    Column<EvalRow>{"step", "step", "updates done when evaluated", &EvalRow::step},
    Column<EvalRow>{"loss", "nat", "mean next-token loss on validation data", &EvalRow::loss}};

inline constexpr std::array kProbeColumns{
    Column<ProbeRow>{"step", "step", "updates done when probed", &ProbeRow::step},
    Column<ProbeRow>{"attention_logit_max", "1",
                     "largest attention logit q.k/sqrt(D) of a query and a key that it sees "
                     "(Dehghani et al. 2023, arXiv:2302.05442; Wortsman et al. 2023, arXiv:2309.14322)",
                     &ProbeRow::attention_logit_max, Repeatable::yes, Extent::layer_head},
    Column<ProbeRow>{"attention_logit_rms", "1", "root mean square of these logits",
                     &ProbeRow::attention_logit_rms, Repeatable::yes, Extent::layer_head},
    Column<ProbeRow>{"attention_entropy", "nat",
                     "entropy of a query's attention weights, mean over queries (Zhai et al. 2023, "
                     "arXiv:2303.06296)",
                     &ProbeRow::attention_entropy, Repeatable::yes, Extent::layer_head},
    Column<ProbeRow>{"residual_rms", "1", "root mean square of the residual stream", &ProbeRow::residual_rms,
                     Repeatable::yes, Extent::residual}};

template <std::vector<double> SpectraRow::*member>
constexpr Column<SpectraRow> of_component(std::string_view name, std::string_view unit,
                                          std::string_view meaning) {
  return {name, unit, meaning, member, Repeatable::yes, Extent::layer_component};
}
inline constexpr std::array kSpectraColumns{
    Column<SpectraRow>{"step", "step", "updates done when measured", &SpectraRow::step},
    of_component<&SpectraRow::spectral_norm>("spectral_norm", "weight", "largest singular value"),
    of_component<&SpectraRow::stable_rank>("stable_rank", "1",
                                           "squared Frobenius norm over squared spectral norm"),
    of_component<&SpectraRow::participation_ratio>(
        "participation_ratio", "1",
        "squared sum of the squared singular values over the sum of their squares"),
    of_component<&SpectraRow::alpha>("alpha", "1",
                                     "exponent of a power law fitted to the tail of the eigenvalues of W^T W "
                                     "(Clauset, Shalizi & Newman 2009, arXiv:0706.1062)"),
    of_component<&SpectraRow::alpha_xmin>("alpha_xmin", "weight^2", "eigenvalue from which the fit holds"),
    of_component<&SpectraRow::alpha_ks>("alpha_ks", "1",
                                        "Kolmogorov-Smirnov distance between the eigenvalues and the fit"),
    Column<SpectraRow>{"qk_spectral_norm", "weight^2", "spectral norm of W_Q^T W_K of one head",
                       &SpectraRow::qk_spectral_norm, Repeatable::yes, Extent::layer_head}};

inline constexpr std::array kAlarmColumns{
    Column<AlarmRow>{"step", "step", "updates done when the alarm was raised", &AlarmRow::step},
    Column<AlarmRow>{"rule", "1", "alarm rule", &AlarmRow::rule},
    Column<AlarmRow>{"severity", "1", "severity of the rule", &AlarmRow::severity},
    Column<AlarmRow>{"target", "1", "what the rule was applied to", &AlarmRow::target},
    Column<AlarmRow>{"value", "1", "value that was found", &AlarmRow::value},
    Column<AlarmRow>{"threshold", "1", "value that it was compared with", &AlarmRow::threshold},
    Column<AlarmRow>{"message", "1", "the same in words", &AlarmRow::message}};

inline constexpr std::array kInitColumns{
    Column<InitRow>{"name", "1", "parameter", &InitRow::name},
    Column<InitRow>{"shape", "1", "shape", &InitRow::shape},
    Column<InitRow>{"kind", "1", "kind of parameter", &InitRow::kind},
    Column<InitRow>{"scheme", "1", "initialization scheme", &InitRow::scheme},
    Column<InitRow>{"expected_std", "weight", "standard deviation that the scheme predicts",
                    &InitRow::expected_std},
    Column<InitRow>{"std", "weight", "standard deviation measured", &InitRow::std},
    Column<InitRow>{"mean", "weight", "mean measured", &InitRow::mean},
    Column<InitRow>{"ci_low", "weight", "lower end of the confidence interval of std", &InitRow::ci_low},
    Column<InitRow>{"ci_high", "weight", "upper end of the confidence interval of std", &InitRow::ci_high},
    Column<InitRow>{"p_std", "1", "p that a standard deviation as far from the expected one is chance",
                    &InitRow::p_std},
    Column<InitRow>{"p_mean", "1", "p that a mean as far from 0 is chance", &InitRow::p_mean},
    Column<InitRow>{"p_shape", "1", "p that a distribution function as far from the scheme's is chance",
                    &InitRow::p_shape},
    Column<InitRow>{"tied_to", "1", "parameter that shares this one's memory, or empty", &InitRow::tied_to},
    Column<InitRow>{"verdict", "1", "pass, or fail and why", &InitRow::verdict}};

inline constexpr std::array kSegmentColumns{
    Column<SegmentRow>{"start_step", "step", "updates done when the job began", &SegmentRow::start_step},
    Column<SegmentRow>{"world_size", "1", "MPI ranks", &SegmentRow::world_size},
    Column<SegmentRow>{"backend", "1", "how tensors travelled: solo, mpi or nccl", &SegmentRow::backend},
    Column<SegmentRow>{"devices", "1", "devices", &SegmentRow::devices},
    Column<SegmentRow>{"hosts", "1", "machines", &SegmentRow::hosts},
    Column<SegmentRow>{"job_id", "1", "job of the batch system, or empty", &SegmentRow::job_id},
    Column<SegmentRow>{"restart_count", "1", "restarts by the batch system", &SegmentRow::restart_count},
    Column<SegmentRow>{"git", "1", "revision of the program", &SegmentRow::git},
    Column<SegmentRow>{"seconds", "s", "wall time of the job so far", &SegmentRow::seconds, Repeatable::no},
    Column<SegmentRow>{"end_step", "step", "updates done at the last seal", &SegmentRow::end_step},
    Column<SegmentRow>{"status", "1", "running, finished, stopped or failed", &SegmentRow::status}};

/// Segments and initialization are facts of the sealed file alone: the tail has no such groups.
enum class Where { sealed_and_tail, sealed };

/// A group of the file. `index`: the dataset that is the scale of its rows; where it is no column it holds 0,
/// 1, …
template <class Row>
struct Table {
  std::string_view group, index;
  bool grows;
  Where where;
  std::span<const Column<Row>> columns;
  bool ExperimentHeader::*when = nullptr;  ///< files that have it; null: all
};
template <class Row>
bool recorded(const Table<Row>& table, const ExperimentHeader& header) {
  return table.when == nullptr || header.*table.when;
}

inline constexpr std::tuple kTables{
    Table<TrainRow>{"train", "step", true, Where::sealed_and_tail, kTrainColumns},
    Table<EvalRow>{"eval", "step", true, Where::sealed_and_tail, kEvalColumns},
    Table<ProbeRow>{"probe", "step", true, Where::sealed_and_tail, kProbeColumns, &ExperimentHeader::probes},
    Table<SpectraRow>{"spectra", "step", true, Where::sealed_and_tail, kSpectraColumns,
                      &ExperimentHeader::spectra},
    Table<AlarmRow>{"alarms", "row", true, Where::sealed_and_tail, kAlarmColumns},
    Table<SegmentRow>{"segments", "row", true, Where::sealed, kSegmentColumns},
    Table<InitRow>{"init", "row", false, Where::sealed, kInitColumns}};

/// Rows of every table, in memory.
using Rows =
    std::tuple<std::vector<TrainRow>, std::vector<EvalRow>, std::vector<ProbeRow>, std::vector<SpectraRow>,
               std::vector<AlarmRow>, std::vector<SegmentRow>, std::vector<InitRow>>;

/// F(table, rows of that table) for each table.
template <class R, class F>
void for_each_table(R& rows, F&& f) {
  std::apply([&](const auto&... table) { std::apply([&](auto&... of) { (f(table, of), ...); }, rows); },
             kTables);
}

template <class Row>
const Table<Row>& table_of() {
  return std::get<Table<Row>>(kTables);
}

/// What a field stores: itself, or, of a vector, its elements.
template <class Field>
struct Elements {
  using type = Field;
};
template <class T>
struct Elements<std::vector<T>> {
  using type = T;
};
template <class Field>
using ElementOf = typename Elements<Field>::type;

template <class Row>
hdf5::Values values_of(const Column<Row>& column, std::span<const Row> rows) {
  return std::visit(
      [&](auto member) -> hdf5::Values {
        using Field = std::decay_t<decltype(std::declval<Row>().*member)>;
        std::vector<ElementOf<Field>> values;
        for (const auto& row : rows) {
          const auto& field = row.*member;
          if constexpr (std::is_same_v<Field, ElementOf<Field>>)
            values.push_back(field);
          else
            values.insert(values.end(), field.begin(), field.end());
        }
        return values;
      },
      column.member);
}

/// `values`: of all rows. `rows` are as many as there are steps once that column, the first, is assigned.
template <class Row>
void assign(const Column<Row>& column, const hdf5::Values& values, std::vector<Row>& rows) {
  std::visit(
      [&](auto member) {
        using Field = std::decay_t<decltype(std::declval<Row>().*member)>;
        const auto& found = std::get<std::vector<ElementOf<Field>>>(values);
        if constexpr (std::is_same_v<Field, ElementOf<Field>>) {
          rows.resize(found.size());
          for (std::size_t i = 0; i < found.size(); ++i) rows[i].*member = found[i];
        } else {
          const auto each = rows.empty() ? 0 : found.size() / rows.size();
          for (std::size_t i = 0; i < rows.size(); ++i) {
            const auto* first = found.data() + i * each;
            (rows[i].*member).assign(first, first + each);
          }
        }
      },
      column.member);
}

}  // namespace weightscope
