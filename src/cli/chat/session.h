// Session: the interactive chat of `miao run`: read a line, answer it, again.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "cli/chat/conversation.h"
#include "cli/verb.h"
#include "runtime/generate.h"

namespace miao::cli {

struct SessionOptions {
  std::filesystem::path history;  // empty = none
  bool figures = true;            // a line on stderr behind each answer
};

// Until /exit or Ctrl-D. Ctrl-C ends the answer in hand, or clears the line being typed. Errors: io (terminal).
// Whatever else goes wrong is shown, and the chat goes on.
Result<int> chat(runtime::Engine& engine, Conversation conversation, runtime::GenerateOptions options,
                 const SessionOptions& session);

}  // namespace miao::cli
