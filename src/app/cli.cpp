#include "app/cli.hpp"

#include <CLI/CLI.hpp>
#include <map>
#include <memory>

#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/suggest.hpp"

namespace weightscope {
namespace {

constexpr const char* kDescription =
    "weightscope trains GPT models data-parallel over MPI and NCCL and records how every weight distribution "
    "evolves.\n"
    "Distributed: mpirun -n N weightscope train CONFIG, or srun. Exit codes: docs/cli.md.";

const std::map<std::string, OutputFormat> kFormats{{"text", OutputFormat::text},
                                                   {"json", OutputFormat::json}};
const std::map<std::string, ProgressMode> kProgress{
    {"auto", ProgressMode::automatic}, {"plain", ProgressMode::plain}, {"none", ProgressMode::none}};

const std::map<std::string, Grow> kGrow{{"heads", Grow::heads}, {"head_width", Grow::head_width}};
const std::map<std::string, std::vector<Parametrization>> kParametrizations{
    {"standard", {Parametrization::standard}}, {"mup", {Parametrization::mup}}, {"both", {}}};

Resume resume_of(const std::string& text) {
  if (text == "auto") return {Resume::Mode::automatic, 0};
  if (text == "never") return {Resume::Mode::never, 0};
  if (text == "must") return {Resume::Mode::must, 0};
  const bool number =
      !text.empty() && text.size() < 16 && text.find_first_not_of("0123456789") == std::string::npos;
  if (!number) throw CLI::ValidationError("--resume", text + " is not auto, never, must or a step");
  return {Resume::Mode::step, std::stoll(text)};
}

class Parser {
 public:
  explicit Parser(CommandLine& line) : line_(line), app_(kDescription, "weightscope") {
    app_.set_version_flag("--version", "weightscope " + version());
    app_.require_subcommand(1);
    app_.failure_message(CLI::FailureMessage::simple);
    training();
    initialization();
    coordinate_check();
    weights();
    data();
    inspection();
  }
  CLI::App& app() { return app_; }

 private:
  template <class Arguments>
  std::shared_ptr<Arguments> command(const char* name, const char* description, const char* example,
                                     bool all_ranks, int (*run)(const Context&, const Arguments&)) {
    auto arguments = std::make_shared<Arguments>();
    current_ = app_.add_subcommand(name, description);
    current_->footer(std::string("Example:\n  ") + example);
    current_->callback([this, arguments, run, all_ranks] {
      line_.all_ranks = all_ranks;
      line_.run = [arguments, run](const Context& context, const std::atomic<int>&) {
        return run(context, *arguments);
      };
    });
    return arguments;
  }
  void config_options(ConfigArguments& config, bool output) {
    current_->add_option("CONFIG", config.file, "configuration file (docs/config-reference.md)")->required();
    current_
        ->add_option("--set", config.set, "KEY=VALUE: overrides a key of the configuration; may be repeated")
        ->allow_extra_args(false);
    if (output)
      current_->add_option("--output", config.output, "run directory, instead of the configuration's");
  }
  void format_option(OutputFormat& format) {
    current_->add_option("--format", format, "text or json")
        ->transform(CLI::CheckedTransformer(kFormats))
        ->default_str("text");
  }
  void model_option(std::string& model) {
    current_->add_option("MODEL", model, "checkpoint, run directory, or Hugging Face GPT-2 directory")
        ->required();
  }

  void training() {
    auto arguments = std::make_shared<TrainArguments>();
    auto* train = current_ = app_.add_subcommand("train", "train a model and record its weights");
    train->footer(
        "Examples:\n  mpirun -n 2 weightscope train configs/quickstart.yaml\n"
        "  weightscope train configs/article-small.yaml --set seed=7 --output runs/seed-7\n"
        "  mpirun -n 2 weightscope train configs/quickstart.yaml --resume must");
    config_options(arguments->config, true);
    train
        ->add_option_function<std::string>(
            "--resume", [arguments](const std::string& text) { arguments->resume = resume_of(text); },
            "auto (continue if there is a checkpoint), never, must, or a step")
        ->default_str("auto");
    train->add_option("--progress", arguments->progress, "auto, plain or none")
        ->transform(CLI::CheckedTransformer(kProgress))
        ->default_str("auto");
    train->add_flag("--quiet", line_.quiet, "warnings and errors only");
    train->callback([this, arguments] {
      line_.all_ranks = true;
      if (line_.quiet) arguments->progress = ProgressMode::none;
      line_.run = [arguments](const Context& context, const std::atomic<int>& stop) {
        return run_train(context, *arguments, stop);
      };
    });
  }

  void initialization() {
    auto init = command<InitArguments>(
        "init", "initialize only: compare every tensor with its scheme (exit 7 when one is wrong)",
        "weightscope init configs/article.yaml --format json", false, run_init);
    config_options(init->config, true);
    format_option(init->format);
    auto audit = command<AuditArguments>(
        "audit", "the same test on weights from elsewhere, also with the names of GPT-NeoX",
        "weightscope audit runs/quickstart/checkpoints/step-00000000 --scheme gpt2", false, run_audit);
    model_option(audit->model);
    current_
        ->add_option("--scheme", audit->scheme, "name of an initialization scheme, or a configuration file")
        ->default_val("article");
    format_option(audit->format);
  }

  void coordinate_check() {
    auto check = command<CoordCheckArguments>(
        "coord-check",
        "train a few steps at several widths: do activations keep their size? (exit 7 when they do not)",
        "weightscope coord-check configs/quickstart.yaml --widths 48,96,192 -o coords.json", false,
        run_coord_check);
    config_options(check->config, false);
    current_
        ->add_option("--widths", check->plan.widths,
                     "model.width, two or more (default: base width x 1,2,4,8)")
        ->delimiter(',')
        ->check(CLI::Range(1, 65536));
    current_->add_option("--steps", check->plan.steps, "updates at optimizer.lr, all on the same batch")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    current_->add_option("--seeds", check->plan.seeds, "trainings at each width")
        ->check(CLI::Range(1, 31))
        ->capture_default_str();
    current_
        ->add_option_function<std::string>(
            "--parameterization",
            [check](const std::string& name) { check->plan.which = kParametrizations.at(name); },
            "standard, mup or both")
        ->check(CLI::IsMember({"standard", "mup", "both"}))
        ->default_str("both");
    current_->add_option("--grow", check->plan.grow, "what widens: heads (more of them) or head_width")
        ->transform(CLI::CheckedTransformer(kGrow))
        ->default_str("heads");
    format_option(check->format);
    current_->add_option("-o,--output", check->output, "also write the JSON there");
  }

  void weights() {
    auto measure = command<MeasureArguments>(
        "measure", "one snapshot of any weights, in the schema of an experiment file",
        "weightscope measure runs/quickstart -o weights.h5", false, run_measure);
    model_option(measure->model);
    current_->add_option("-o,--output", measure->output, "file to write")->required();
    auto eval = command<EvalArguments>(
        "eval", "mean loss over all complete blocks of a token file",
        "weightscope eval runs/quickstart --tokens data/kjv/val.bin --format json", true, run_eval);
    model_option(eval->model);
    current_->add_option("--tokens", eval->tokens, "token file")->required();
    format_option(eval->format);
    auto sample = command<SampleArguments>(
        "sample", "continue a prompt",
        "weightscope sample runs/quickstart --prompt 'In the beginning' --tokens 300", false, run_sample);
    model_option(sample->model);
    current_->add_option("--prompt", sample->prompt, "text to continue");
    current_->add_option("--tokens", sample->tokens, "tokens to draw")
        ->check(CLI::Range(1, 1000000))
        ->capture_default_str();
    current_->add_option("--temperature", sample->temperature, "0 takes the most likely token")
        ->check(CLI::Range(0.0, 100.0))
        ->capture_default_str();
    current_->add_option("--top-k", sample->top_k, "draw from the k most likely tokens; 0: all")
        ->check(CLI::Range(0, 65536))
        ->capture_default_str();
    current_->add_option("--seed", sample->seed, "same seed, same text")->capture_default_str();
    current_->add_option("--tokenizer", sample->tokenizer,
                         "byte or sentencepiece:FILE; needed unless the model was trained on bytes");
    auto to_hf =
        command<ConvertArguments>("export", "write a Hugging Face GPT-2 directory",
                                  "weightscope export runs/quickstart -o hf/quickstart", false, run_export);
    model_option(to_hf->from);
    current_->add_option("-o,--output", to_hf->output, "directory to write")->required();
    auto from_hf =
        command<ConvertArguments>("import", "turn a Hugging Face GPT-2 directory into a checkpoint",
                                  "weightscope import hf/gpt2 -o checkpoints/gpt2", false, run_import);
    model_option(from_hf->from);
    current_->add_option("-o,--output", from_hf->output, "checkpoint directory to write")->required();
  }

  void data() {
    auto prepare = command<PrepareArguments>(
        "prepare", "turn text into token files: train.bin, val.bin, meta.json",
        "weightscope prepare --tokenizer byte -o data/kjv bible.txt", false, run_prepare);
    current_->add_option("--tokenizer", prepare->tokenizer, "byte, sentencepiece:FILE, or train:bpe:VOCAB")
        ->capture_default_str();
    current_->add_option("-o,--output", prepare->output, "directory to write")->required();
    current_
        ->add_option("--val-fraction", prepare->val_fraction, "last part of each text kept for evaluation")
        ->check(CLI::Range(0.0, 0.5))
        ->capture_default_str();
    current_->add_option("TEXT", prepare->texts, "text files")->required();
  }

  void inspection() {
    auto check = command<CheckArguments>(
        "check", "validate a configuration; print it resolved, with memory and size estimates",
        "weightscope check configs/gpt2-124m.yaml --ranks 8", false, run_check);
    config_options(check->config, true);
    current_->get_option("CONFIG")->required(false);
    current_->add_flag("--reference", check->reference,
                       "print the reference of all keys (docs/config-reference.md)");
    current_->add_option("--ranks", check->ranks, "ranks to plan for (default: those of this job)")
        ->check(CLI::Range(0, 1 << 20));
    auto inspect =
        command<InspectArguments>("inspect", "what an experiment file holds",
                                  "weightscope inspect runs/quickstart --format json", false, run_inspect);
    current_->add_option("FILE", inspect->file, "experiment.h5 or a run directory")->required();
    format_option(inspect->format);
    auto* doctor = app_.add_subcommand("doctor", "facts for a bug report: MPI, NCCL, GPUs, HDF5, LibTorch");
    doctor->callback([this] {
      line_.run = [](const Context& context, const std::atomic<int>&) { return run_doctor(context); };
    });
  }

  CommandLine& line_;
  CLI::App app_;
  CLI::App* current_ = nullptr;
};

/// What nobody expected, and what may have been meant.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error, int argc, char** argv) {
  const auto chosen = app.get_subcommands();
  const auto* command = chosen.empty() ? &app : chosen.front();
  const std::string help =
      " (see " + (chosen.empty() ? "" : app.get_name() + " ") + command->get_name() + " --help)";
  std::vector<std::string> known;
  if (chosen.empty()) {
    if (argc < 2) return "no command is given" + help;
    const std::string wrong = argv[1];
    if (wrong.starts_with("-")) return "unknown option " + wrong + help;
    for (const auto* each : app.get_subcommands(nullptr)) known.push_back(each->get_name());
    return "unknown command " + wrong + nearest(wrong, known) + help;
  }
  for (const auto* option : command->get_options())
    for (const auto& name : option->get_lnames()) known.push_back("--" + name);
  for (const auto& wrong : command->remaining())
    if (wrong.starts_with("-")) {
      const auto name = wrong.substr(0, wrong.find('='));
      return "unknown option " + name + nearest(name, known) + help;
    }
  return error.what() + help;
}

}  // namespace

CommandLine parse_command_line(int argc, char** argv) {
  CommandLine line;
  Parser parser(line);
  try {
    parser.app().parse(argc, argv);
  } catch (const CLI::CallForAllHelp& e) {
    line.message = parser.app().help("", CLI::AppFormatMode::All);
  } catch (const CLI::CallForHelp& e) {
    const auto chosen = parser.app().get_subcommands();
    line.message = (chosen.empty() ? &parser.app() : chosen.front())->help();
  } catch (const CLI::CallForVersion& e) {
    line.message = std::string(e.what()) + "\n";
  } catch (const CLI::ParseError& e) {
    line.run = nullptr;
    line.message = usage_error(parser.app(), e, argc, argv);
    line.exit_code = static_cast<int>(Fault::config);
  }
  return line;
}

}  // namespace weightscope
