// The text of --help: usage, what the verb does, arguments, flags, examples, wrapped to the width of the terminal.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/verb.h"

namespace miao::cli {

class Help : public CLI::FormatterBase {
 public:
  explicit Help(const Verb* verb = nullptr) : verb_(verb) {}
  std::string make_help(const CLI::App* app, std::string name, CLI::AppFormatMode mode) const override;

 private:
  const Verb* verb_;
};

bool takes_value(const CLI::Option& option);  // false for flags
// "-o,--output" with its value: "-o, --output FILE".
std::string option_label(const CLI::Option& option);

}  // namespace miao::cli
