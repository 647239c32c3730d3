// A figure of the user's own: a command that is given the file of a model and prints a number.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace miao::compress {

using Evaluate = std::function<Result<double>(const std::filesystem::path& model)>;

struct EvaluateCommand {
  std::string command;    // of the shell; {} is the model's file, in quotes. Without it, the file is the last argument
  double seconds = 3600;  // that it may take; 0 = no limit
  const std::atomic<bool>* cancel = nullptr;
};

// Runs the command, with the file in MIAO_MODEL too. Its figure is the last word of what it prints. Errors name the
// command and have the end of its standard error: io where it fails, is killed or takes too long; invalid where the
// last word is no finite number; cancelled.
Evaluate evaluation_by(EvaluateCommand command);

// The last word of a text, as a number. Errors: invalid.
Result<double> last_number(std::string_view text);

}  // namespace miao::compress
