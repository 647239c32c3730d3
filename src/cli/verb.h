// A verb of the command line: one file verbs/<verb>.cpp that defines one Verb, and one line in verbs.inc.
//
//   static Run add(CLI::App& app, const Common& common) {
//     auto o = std::make_shared<Options>();
//     app.add_option("model", o->model, "...")->required();
//     return [o, &common] { return run(*o, common); };       // called after parsing
//   }
//   const Verb verb_pull = {.name = "pull", .summary = "...", .add = add};
//
// Data goes to stdout through cli/output.h, everything else to stderr through base/log.h. An Error that a verb returns
// is printed as one line and gives exit code 1.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace CLI {
class App;
}

namespace miao::cli {

enum Exit : int {
  kOk = 0,
  kFailed = 1,        // input, file, model or network
  kUsage = 2,         // unknown flag, missing argument, a value that no model or file could make right
  kUnmet = 3,         // what was asked for cannot be had: no model keeps the budgets, or it does not fit into memory
  kOverBudget = 4,    // a budget of quality is not kept, or not shown to be
  kBug = 70,          // an error in miao itself
  kInterrupted = 130  // Ctrl-C
};

// Flags that every verb has (json only where Verb::json is set).
struct Common {
  bool json = false;
  bool quiet = false;
  int verbose = 0;
};

using Run = std::function<Result<int>()>;  // the exit code

struct Verb {
  const char* name;
  const char* group;          // heading in the list of verbs
  const char* summary;        // one line
  const char* details = "";   // paragraphs, separated by empty lines
  const char* examples = "";  // one a line: "command    # what it does"
  bool json = false;          // has --json
  Run (*add)(CLI::App& app, const Common& common);
};

#define X(name) extern const Verb verb_##name;
#include "cli/verbs.inc"
#undef X
std::span<const Verb* const> verbs();
const Verb* find_verb(std::string_view name);

// For what only the verb can see about its arguments. Prints the line and gives exit code 2.
Result<int> usage_error(const Verb& verb, std::string_view message);

}  // namespace miao::cli
