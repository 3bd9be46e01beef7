#include "train/run_log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.hpp"
#include "core/file_io.hpp"
#include "core/log.hpp"

namespace weightscope {
namespace {

using Json = nlohmann::ordered_json;

/// Whether a line of an earlier attempt still belongs to a run that continues at `step`.
bool kept(const std::string& text, std::int64_t step) {
  if (step == 0) return false;  // all of it comes again
  const auto json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("step") || !json["step"].is_number_integer()) return false;
  const auto at = json["step"].get<std::int64_t>();
  return json.value("event", "") == "train" ? at < step : at <= step;
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& run, std::int64_t step, bool patient)
    : path_(run / "log.jsonl"), patient_(patient), fd_(-1) {
  if (std::filesystem::exists(path_)) {
    std::istringstream old(read_file(path_, Fault::output));
    std::string keep;
    for (std::string text; std::getline(old, text);)
      if (kept(text, step)) keep += text + "\n";
    write_file_atomically(path_, keep);
  }
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  require_system(fd_ >= 0, Fault::output, "cannot open", path_.string());
}

RunLog::~RunLog() { ::close(fd_); }

void RunLog::line(const std::string& text) {
  const bool failing = !waiting_.empty();
  waiting_ += text + "\n";
  while (!waiting_.empty()) {
    const auto written = ::write(fd_, waiting_.data(), waiting_.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    waiting_.erase(0, static_cast<std::size_t>(written));
  }
  if (waiting_.empty()) return;
  const auto problem = system_message("cannot write", path_.string());
  require(patient_, Fault::output, problem);
  if (!failing)
    log_warning(problem + " (" + std::to_string(waiting_.size()) + " bytes wait); training goes on");
}

void RunLog::write(const TrainRow& r) {
  line(Json{{"event", "train"},
            {"step", r.step},
            {"loss", r.loss},
            {"lr", r.lr},
            {"grad_norm", r.grad_norm},
            {"tokens_per_second", r.tokens_per_second},
            {"step_seconds", r.step_seconds}}
           .dump());
}
void RunLog::write(const EvalRow& r) {
  line(Json{{"event", "eval"}, {"step", r.step}, {"loss", r.loss}}.dump());
}
void RunLog::write(const ProbeRow& r) {
  line(Json{{"event", "probe"},
            {"step", r.step},
            {"largest_attention_logit", std::ranges::max(r.attention_logit_max)},
            {"smallest_attention_entropy", std::ranges::min(r.attention_entropy)},
            {"residual_rms", r.residual_rms.back()}}
           .dump());
}
void RunLog::write(const AlarmRow& r) {
  line(Json{{"event", "alarm"},
            {"step", r.step},
            {"rule", r.rule},
            {"severity", r.severity},
            {"target", r.target},
            {"value", r.value},
            {"threshold", r.threshold},
            {"message", r.message}}
           .dump());
}
void RunLog::memory(std::int64_t step, std::int64_t planned_bytes, std::int64_t measured_bytes) {
  line(Json{{"event", "memory"},
            {"step", step},
            {"planned_bytes", planned_bytes},
            {"measured_bytes", measured_bytes}}
           .dump());
}
void RunLog::checkpoint(std::int64_t step, double stall_seconds, double write_seconds) {
  line(Json{{"event", "checkpoint"},
            {"step", step},
            {"stall_seconds", stall_seconds},
            {"write_seconds", write_seconds}}
           .dump());
}
void RunLog::note(const std::string& event, std::int64_t step, const std::string& text) {
  line(Json{{"event", event}, {"step", step}, {"text", text}}.dump());
}

}  // namespace weightscope
