// miao help: the help of the program or of one verb, as --help gives it.
#include <CLI/CLI.hpp>

#include "cli/app.h"
#include "cli/output.h"
#include "cli/verb.h"

namespace miao::cli {

extern const Verb verb_help;

namespace {

Run add(CLI::App& app, const Common&) {
  auto name = std::make_shared<std::string>();
  app.add_option("verb", *name, "The verb; left out: the list of verbs")->type_name("VERB");
  const CLI::App* root = app.get_parent();
  return [name, root]() -> Result<int> {
    if (!name->empty() && !find_verb(*name)) return usage_error(verb_help, unknown_verb(*name));
    // App::help() would answer for the verb that was parsed, which is this one.
    const CLI::App* const wanted = name->empty() ? root : root->get_subcommand(*name);
    out().write(wanted->get_formatter()->make_help(wanted, "", CLI::AppFormatMode::Normal));
    return kOk;
  };
}

}  // namespace

const Verb verb_help = {
    .name = "help",
    .group = "Other",
    .summary = "Show the help of a verb",
    .examples =
        "miao help\n"
        "miao help run   # the same as miao run --help",
    .add = add,
};

}  // namespace miao::cli
