#include "compress/evaluate.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <utility>

#include "base/process.h"

namespace miao::compress {

namespace {

constexpr std::string_view kBlanks = " \t\r\n";
constexpr size_t kShownLines = 5, kShownBytes = 600;

std::string with_file(const std::string& command, const std::string& file) {
  const std::string word = shell_quoted(file);
  if (command.find("{}") == std::string::npos) return command + " " + word;
  std::string out;
  size_t at = 0;
  for (size_t next; (next = command.find("{}", at)) != std::string::npos; at = next + 2)
    out += command.substr(at, next - at) + word;
  return out + command.substr(at);
}

// The last lines of a text, as one.
std::string end_of(std::string_view text) {
  const size_t last = text.find_last_not_of(kBlanks);
  if (last == std::string_view::npos) return {};
  text = text.substr(0, last + 1);
  size_t from = text.size();
  for (size_t lines = 0; lines < kShownLines && from != std::string_view::npos && from > 0; ++lines)
    from = text.rfind('\n', from - 1);
  if (from != std::string_view::npos && from > 0) text.remove_prefix(from + 1);
  if (text.size() > kShownBytes) text.remove_prefix(text.size() - kShownBytes);
  std::string out;
  for (const char c : text) out += c == '\n' ? std::string(" | ") : std::string(1, c);
  return out;
}

std::string with_errors(std::string message, const CommandResult& result) {
  const std::string end = end_of(result.err);
  return message +
         (end.empty() ? "; it wrote nothing to its standard error" : "; its standard error ends with: " + end);
}

}  // namespace

Result<double> last_number(std::string_view text) {
  const size_t last = text.find_last_not_of(kBlanks);
  if (last == std::string_view::npos)
    return Error{Code::invalid, "printed nothing; its last word has to be a number", {}};
  text = text.substr(0, last + 1);
  std::string_view word = text.substr(text.find_last_of(kBlanks) + 1);
  const std::string shown(word.substr(0, 80));
  if (word.starts_with('+')) word.remove_prefix(1);
  double value = 0;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
  if (read.ec != std::errc() || read.ptr != word.data() + word.size())
    return Error{Code::invalid, "printed '" + shown + "' last, which is no number", {}};
  if (!std::isfinite(value)) return Error{Code::invalid, "printed " + shown + ", by which nothing can be judged", {}};
  return value;
}

Evaluate evaluation_by(EvaluateCommand own) {
  return [own = std::move(own)](const std::filesystem::path& model) -> Result<double> {
    const std::string command = with_file(own.command, model.string());
    const auto result = run_command(
        command, {.seconds = own.seconds, .environment = {{"MIAO_MODEL", model.string()}}, .cancel = own.cancel});
    if (!result.ok()) return Error(result.error()).at(command);
    if (result->end == CommandResult::End::timed_out) {
      return Error{Code::io, with_errors(fmt::format("took longer than {:g} s and was stopped", own.seconds), *result),
                   command};
    }
    if (result->end != CommandResult::End::exited || result->code != 0)
      return Error{Code::io, with_errors(result->how(), *result), command};
    auto number = last_number(result->out);
    if (!number.ok()) return Error{Code::invalid, with_errors(number.error().message, *result), command};
    return number;
  };
}

}  // namespace miao::compress
