#include "app/cli.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/cli_help.hpp"
#include "core/build_info.hpp"
#include "core/error.hpp"
#include "core/suggest.hpp"

namespace weightscope {
namespace {

constexpr const char* kDescription =
    "weightscope trains GPT models data-parallel over MPI and NCCL and records how every weight distribution "
    "evolves.\n"
    "Distributed: mpirun -n N weightscope train CONFIG, or srun. Exit codes: docs/cli.md.";

template <class T>
using Choices = std::vector<std::pair<std::string, T>>;  ///< the first one is the default

const Choices<OutputFormat> kFormats{{"text", OutputFormat::text}, {"json", OutputFormat::json}};
const Choices<ProgressMode> kProgress{
    {"auto", ProgressMode::automatic}, {"plain", ProgressMode::plain}, {"none", ProgressMode::none}};
const Choices<Grow> kGrow{{"heads", Grow::heads}, {"head_width", Grow::head_width}};
const Choices<std::vector<Parametrization>> kParametrizations{
    {"both", {}}, {"standard", {Parametrization::standard}}, {"mup", {Parametrization::mup}}};

template <class T>
std::vector<std::string> names_of(const Choices<T>& choices) {
  std::vector<std::string> names;
  for (const auto& each : choices) names.push_back(each.first);
  return names;
}

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
    app_.formatter(help_format());
    app_.set_help_flag("-h,--help", "this text");
    app_.set_version_flag("--version", "weightscope " + version(), "the version");
    app_.require_subcommand(1);
    app_.failure_message(CLI::FailureMessage::simple);
    training();
    initialization();
    coordinate_check();
    weights();
    data();
    inspection();
    for (auto* each : app_.get_subcommands(nullptr)) each->group("Commands");
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
    current_->add_option("CONFIG", config.file, "configuration (docs/config-reference.md)")
        ->type_name("FILE")
        ->required();
    current_->add_option("--set", config.set, "overrides a key of the configuration; may be repeated")
        ->type_name("KEY=VALUE")
        ->allow_extra_args(false);
    if (output)
      current_->add_option("--output", config.output, "run directory, instead of the configuration's")
          ->type_name("DIR");
  }
  /// One of a few words. `target` outlives the parser.
  template <class T>
  void choice(const char* name, T& target, const Choices<T>& choices, const char* description) {
    const auto names = names_of(choices);
    const auto choose = [&target, &choices, names, name](const std::string& word) {
      for (const auto& [each, value] : choices)
        if (each == word) return void(target = value);
      throw CLI::ValidationError(
          name, word + " is not one of " + CLI::detail::join(names, ", ") + nearest(word, names));
    };
    current_->add_option_function<std::string>(name, choose, description)
        ->type_name(CLI::detail::join(names, "|"))
        ->default_str(names.front());
  }
  /// CLI11 reads 010 as eight and 0x10 as sixteen; a configuration refuses them, too.
  static std::string not_decimal(const std::string& text) {
    const auto first = std::min(text.find_first_not_of("+-"), text.size());
    const bool other =
        text[first] == '0' && std::isalnum(static_cast<unsigned char>(text.c_str()[first + 1])) != 0;
    return other || text.find_first_of("nN") != text.npos ? text + " is not a decimal number" : "";
  }
  /// A number from `low` to `high`.
  template <class T, class N>
  CLI::Option* number(const char* name, T& target, N low, N high, const char* description) {
    auto* option = current_->add_option(name, target, description);
    option->check(CLI::Range(low, high).description(""));
    return option->check(not_decimal);  // NaN passes the range
  }
  void format_option(OutputFormat& format) {
    choice("--format", format, kFormats, "what goes to standard output");
  }
  void model_option(std::string& model) {
    current_->add_option("MODEL", model, "checkpoint, run directory, or Hugging Face GPT-2 directory")
        ->type_name("PATH")
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
            "auto continues if there is a checkpoint")
        ->type_name("auto|never|must|STEP")
        ->default_str("auto");
    choice("--progress", arguments->progress, kProgress,
           "auto: one line, rewritten, on a terminal; lines elsewhere");
    train->add_flag("--quiet", line_.quiet, "warnings and errors only");
    train->callback([this, arguments] {
      line_.all_ranks = line_.saves = true;
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
        "weightscope audit hf/pythia-160m-step0 --scheme wang_init", false, run_audit);
    model_option(audit->model);
    current_
        ->add_option("--scheme", audit->scheme, "name of an initialization scheme, or a configuration file")
        ->type_name("NAME|FILE")
        ->default_val("article");
    format_option(audit->format);
  }

  void coordinate_check() {
    auto check = command<CoordCheckArguments>(
        "coord-check",
        "train a few steps at several widths: do activations keep their size? (exit 7 unless they do)",
        "weightscope coord-check configs/quickstart.yaml --widths 48,96,192 -o coords.json", false,
        run_coord_check);
    config_options(check->config, false);
    number("--widths", check->plan.widths, 1, 65536,
           "model.width, two or more, with commas (default: base width x 1,2,4,8)")
        ->delimiter(',');
    number("--steps", check->plan.steps, 1, 1000, "updates at optimizer.lr, all on the same batch")
        ->capture_default_str();
    number("--seeds", check->plan.seeds, 1, 31, "trainings at each width")->capture_default_str();
    choice("--parameterization", check->plan.which, kParametrizations, "what to check");
    choice("--grow", check->plan.grow, kGrow, "what widens: more heads, or wider ones");
    format_option(check->format);
    current_->add_option("-o,--output", check->output, "also write the JSON there")->type_name("FILE");
  }

  void weights() {
    auto measure = command<MeasureArguments>(
        "measure", "one snapshot of any weights, in the schema of an experiment file",
        "weightscope measure runs/quickstart -o weights.h5", false, run_measure);
    model_option(measure->model);
    current_->add_option("-o,--output", measure->output, "file to write")->type_name("FILE")->required();
    auto eval = command<EvalArguments>(
        "eval", "mean loss over all complete blocks of a token file",
        "weightscope eval runs/quickstart --tokens data/kjv/val.bin --format json", true, run_eval);
    model_option(eval->model);
    current_->add_option("--tokens", eval->tokens, "token file")->type_name("FILE")->required();
    format_option(eval->format);
    auto sample = command<SampleArguments>(
        "sample", "continue a prompt",
        "weightscope sample runs/quickstart --prompt 'In the beginning' --tokens 300", false, run_sample);
    model_option(sample->model);
    current_->add_option("--prompt", sample->prompt, "text to continue");
    number("--tokens", sample->tokens, 1, 1000000, "tokens to draw")->capture_default_str();
    number("--temperature", sample->temperature, 0.0, 100.0, "0 takes the most likely token")
        ->capture_default_str();
    number("--top-k", sample->top_k, 0, 65536, "draw from the k most likely tokens; 0: all")
        ->capture_default_str();
    current_->add_option("--seed", sample->seed, "same seed, same text")
        ->check([](const std::string& text) { return text.starts_with('-') ? text + " is negative" : ""; })
        ->check(not_decimal)
        ->capture_default_str();
    current_->add_option("--tokenizer", sample->tokenizer, "needed unless the model was trained on bytes")
        ->type_name("byte|sentencepiece:FILE");
    auto to_hf =
        command<ConvertArguments>("export", "write a Hugging Face GPT-2 directory",
                                  "weightscope export runs/quickstart -o hf/quickstart", false, run_export);
    model_option(to_hf->from);
    current_->add_option("-o,--output", to_hf->output, "directory to write")->type_name("DIR")->required();
    auto from_hf =
        command<ConvertArguments>("import", "turn a Hugging Face GPT-2 directory into a checkpoint",
                                  "weightscope import hf/gpt2 -o checkpoints/gpt2", false, run_import);
    model_option(from_hf->from);
    current_->add_option("-o,--output", from_hf->output, "checkpoint directory to write")
        ->type_name("DIR")
        ->required();
  }

  void data() {
    auto prepare = command<PrepareArguments>(
        "prepare", "turn text into token files: train.bin, val.bin, meta.json",
        "weightscope prepare --tokenizer byte -o data/kjv bible.txt", false, run_prepare);
    current_->add_option("--tokenizer", prepare->tokenizer, "train:bpe:VOCAB makes one from the texts")
        ->type_name("byte|sentencepiece:FILE|train:bpe:VOCAB")
        ->capture_default_str();
    current_->add_option("-o,--output", prepare->output, "directory to write")->type_name("DIR")->required();
    number("--val-fraction", prepare->val_fraction, 0.0, 0.5, "last part of each text kept for evaluation")
        ->capture_default_str();
    current_->add_option("TEXT", prepare->texts, "text files")->type_name("FILE...")->required();
  }

  void inspection() {
    auto check = command<CheckArguments>(
        "check", "validate a configuration; print it resolved, with memory and size estimates",
        "weightscope check configs/gpt2-124m.yaml --ranks 8", false, run_check);
    config_options(check->config, true);
    current_->get_option("CONFIG")->required(false);
    current_->add_flag("--reference", check->reference,
                       "print the reference of all keys (docs/config-reference.md)");
    number("--ranks", check->ranks, 0, 1 << 20, "ranks to plan for (default: those of this job)");
    auto inspect =
        command<InspectArguments>("inspect", "what an experiment file holds",
                                  "weightscope inspect runs/quickstart --format json", false, run_inspect);
    current_->add_option("FILE", inspect->file, "experiment.h5 or a run directory")
        ->type_name("PATH")
        ->required();
    format_option(inspect->format);
    auto* doctor = app_.add_subcommand("doctor", "facts for a bug report: MPI, NCCL, GPUs, HDF5, LibTorch");
    doctor->footer("Example:\n  weightscope doctor");
    doctor->callback([this] {
      line_.run = [](const Context& context, const std::atomic<int>&) { return run_doctor(context); };
    });
  }

  CommandLine& line_;
  CLI::App app_;
  CLI::App* current_ = nullptr;
};

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
    line.message = chosen.empty() ? parser.app().help() : chosen.front()->help("weightscope");
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
