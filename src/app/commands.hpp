#pragma once
// One function per command of the program; each returns the process's exit code. INTERFACE: docs/cli.md.
#include <atomic>
#include <string>
#include <vector>

#include "app/context.hpp"
#include "train/coord_report.hpp"
#include "train/progress.hpp"
#include "train/resume.hpp"

namespace weightscope {

struct TrainArguments {
  ConfigArguments config;
  Resume resume;
  ProgressMode progress = ProgressMode::automatic;
};
int run_train(const Context& context, const TrainArguments& arguments, const std::atomic<int>& stop);

struct InitArguments {
  ConfigArguments config;
  OutputFormat format = OutputFormat::text;
};
int run_init(const Context& context, const InitArguments& arguments);

struct AuditArguments {
  std::string model;
  std::string scheme;  ///< name of a scheme, or a configuration file
  OutputFormat format = OutputFormat::text;
};
int run_audit(const Context& context, const AuditArguments& arguments);

struct CoordCheckArguments {
  ConfigArguments config;
  CoordPlan plan;  ///< no widths: default_widths(); nothing to compare: both
  OutputFormat format = OutputFormat::text;
  std::string output;  ///< JSON file, or ""
};
int run_coord_check(const Context& context, const CoordCheckArguments& arguments);

struct MeasureArguments {
  std::string model, output;
};
int run_measure(const Context& context, const MeasureArguments& arguments);

struct PrepareArguments {
  std::string tokenizer = "byte", output;
  std::vector<std::string> texts;
  double val_fraction = 0.1;
};
int run_prepare(const Context& context, const PrepareArguments& arguments);

struct EvalArguments {
  std::string model, tokens;
  OutputFormat format = OutputFormat::text;
};
int run_eval(const Context& context, const EvalArguments& arguments);

struct SampleArguments {
  std::string model, prompt = "\n", tokenizer;
  std::int64_t tokens = 200, top_k = 0;
  double temperature = 0.8;
  std::uint64_t seed = 1337;
};
int run_sample(const Context& context, const SampleArguments& arguments);

struct ConvertArguments {
  std::string from, output;
};
int run_export(const Context& context, const ConvertArguments& arguments);
int run_import(const Context& context, const ConvertArguments& arguments);

struct CheckArguments {
  ConfigArguments config;
  int ranks = 0;           ///< 0: those of this job
  bool reference = false;  ///< print docs/config-reference.md instead
};
int run_check(const Context& context, const CheckArguments& arguments);

struct InspectArguments {
  std::string file;
  OutputFormat format = OutputFormat::text;
};
int run_inspect(const Context& context, const InspectArguments& arguments);

int run_doctor(const Context& context);

}  // namespace weightscope
