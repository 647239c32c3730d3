// Commands of a chat: lines that begin with a slash.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace miao::cli {

struct Command {
  enum class Kind { help, clear, system, save, load, again, exit };
  Kind kind = Kind::help;
  std::string argument;  // trimmed
};

// No value: an ordinary message. Two slashes at the start send a message that begins with one (the first is removed
// from `line`). Errors (invalid): an unknown command, an argument that is missing or too much.
Result<std::optional<Command>> parse_command(std::string& line);

std::string_view command_help();  // a table, with line breaks

}  // namespace miao::cli
