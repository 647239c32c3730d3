// A command of the user's: the shell runs it in a process group of its own, reads nothing, and writes into pipes.
//
// However the call ends, nothing of the group is left: a command that takes too long or is cancelled gets SIGTERM and,
// two seconds later, SIGKILL, and what it left in the background goes with it. If this process is killed, so is the
// shell.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace miao {

struct CommandOptions {
  double seconds = 0;                                                 // that it may take; 0 = no limit
  std::vector<std::pair<std::string, std::string>> environment = {};  // beside this process's own
  const std::atomic<bool>* cancel = nullptr;
};

struct CommandResult {
  enum class End { exited, signalled, timed_out };
  End end = End::exited;
  int code = 0;          // the exit status, or the signal
  std::string out, err;  // the last 64 KiB of each

  std::string how() const;  // "ended with exit status 3"
};

// Errors: cancelled; io where no process can be started. Any end of the command is a result.
Result<CommandResult> run_command(const std::string& command, const CommandOptions& options);

std::string shell_quoted(const std::string& word);  // so that the shell reads it as one word; as it is where it can be

}  // namespace miao
