#include "cli/chat/command.h"

#include <algorithm>

namespace miao::cli {

namespace {

enum class Argument { none, optional, required };

struct Row {
  std::string_view name;
  Command::Kind kind;
  Argument argument;
};

constexpr Row kRows[] = {
    {"help", Command::Kind::help, Argument::none},     {"?", Command::Kind::help, Argument::none},
    {"clear", Command::Kind::clear, Argument::none},   {"system", Command::Kind::system, Argument::optional},
    {"save", Command::Kind::save, Argument::required}, {"load", Command::Kind::load, Argument::required},
    {"again", Command::Kind::again, Argument::none},   {"exit", Command::Kind::exit, Argument::none},
    {"quit", Command::Kind::exit, Argument::none},     {"bye", Command::Kind::exit, Argument::none},
};

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

Error invalid(std::string message) { return Error{Code::invalid, std::move(message), {}}; }

}  // namespace

Result<std::optional<Command>> parse_command(std::string& line) {
  if (line.empty() || line[0] != '/') return std::optional<Command>();
  if (line.starts_with("//")) {
    line.erase(0, 1);
    return std::optional<Command>();
  }
  const std::string_view rest = std::string_view(line).substr(1);
  const std::string_view name = rest.substr(0, rest.find_first_of(" \t\n"));
  const std::string_view argument = trim(rest.substr(name.size()));
  const auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& r) { return r.name == name; });
  if (row == std::end(kRows)) {
    return invalid("there is no command /" + std::string(name) +
                   "; /help lists them, // begins a message with a slash");
  }
  if (row->argument == Argument::none && !argument.empty())
    return invalid("/" + std::string(name) + " takes no argument");
  if (row->argument == Argument::required && argument.empty()) return invalid("write /" + std::string(name) + " FILE");
  return std::optional<Command>(Command{row->kind, std::string(argument)});
}

std::string_view command_help() {
  return "/clear         forget the conversation (the system text stays)\n"
         "/system TEXT   set the system text and begin anew; without TEXT remove it\n"
         "/again         another answer to the last message\n"
         "/save FILE     write the conversation as JSON\n"
         "/load FILE     go on with a conversation that was saved\n"
         "/exit          leave (so does Ctrl-D)\n"
         "A \\ at the end of a line goes on in the next one. Ctrl-C stops an answer. // begins a message with a "
         "slash.\n";
}

}  // namespace miao::cli
