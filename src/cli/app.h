// The command line made from the verb table: parsing, help, and running the chosen verb.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/verb.h"

namespace miao::cli {

class Program {
 public:
  Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Throws CLI::ParseError, which explain() turns into output (help on stdout, or one line on stderr) and an exit code.
  void parse(int argc, char** argv);
  int explain(const CLI::ParseError& error);
  int run();  // the chosen verb; prints its Error

  const CLI::App& app() const { return app_; }

 private:
  CLI::App* chosen() const;

  CLI::App app_;
  Common common_;
  bool version_ = false;
  std::map<const CLI::App*, Run> runs_;
};

// "there is no verb 'pul'; did you mean 'pull'?"
std::string unknown_verb(const std::string& word);
// Prints "miao: error: <place>: <message>".
void print_error(const Error& error);
// The exit code of an Error that a verb returns.
int exit_code(const Error& error);

}  // namespace miao::cli
