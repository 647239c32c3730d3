// A formatter for CLI11 that knows about Verb. Left column: names; right column: descriptions and defaults.
#include "cli/help.h"

#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "cli/terminal.h"

namespace miao::cli {

namespace {

constexpr size_t kMaxWidth = 110;

// Words of `text` in lines of at most `width`, later ones behind `indent` spaces. Empty lines separate paragraphs.
std::string wrap(std::string_view text, size_t width, size_t indent) {
  std::string out;
  size_t column = indent;
  bool fresh = true;
  while (!text.empty()) {
    if (text.starts_with("\n\n")) {
      out += "\n\n" + std::string(indent, ' ');
      column = indent;
      fresh = true;
      text.remove_prefix(2);
      continue;
    }
    if (text.front() == ' ' || text.front() == '\n') {
      text.remove_prefix(1);
      continue;
    }
    const std::string_view word = text.substr(0, text.find_first_of(" \n"));
    if (!fresh && column + 1 + word.size() > width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
      fresh = true;
    }
    if (!fresh) out += ' ';
    out += word;
    column += word.size() + (fresh ? 0 : 1);
    fresh = false;
    text.remove_prefix(word.size());
  }
  return out;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

std::string section(const std::string& title, const Rows& rows, size_t width, const Style& style) {
  if (rows.empty()) return {};
  constexpr size_t kMaxLeft = 26;
  size_t left = 0;
  for (const auto& row : rows) {
    if (row.first.size() <= kMaxLeft) left = std::max(left, row.first.size());
  }
  std::string out = "\n" + style.bold(title + ":") + "\n";
  for (const auto& [label, text] : rows) {
    out += "  " + label;
    if (label.size() > left) {
      out += "\n" + std::string(left + 4, ' ');
    } else {
      out += std::string(left - label.size() + 2, ' ');
    }
    out += wrap(text, width, left + 4) + "\n";
  }
  return out;
}

std::string description(const CLI::Option& option) {
  std::string text = option.get_description();
  if (const std::string value = option.get_default_str(); !value.empty()) text += " (default " + value + ")";
  return text;
}

std::string usage(const CLI::App& app, const Verb* verb) {
  std::string out = "miao";
  if (!verb) return out + " VERB [FLAGS]";
  out += " " + std::string(verb->name);
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    std::string label = option->get_name(true);
    std::transform(label.begin(), label.end(), label.begin(), [](unsigned char c) { return std::toupper(c); });
    if (option->get_expected_max() > 1) label += "...";
    out += option->get_required() ? " " + label : " [" + label + "]";
  }
  return out + " [FLAGS]";
}

// "command   # comment" lines with the comments aligned.
std::string examples(std::string_view text, const Style& style) {
  std::vector<std::pair<std::string, std::string>> lines;
  size_t left = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const size_t hash = line.find("  # ");
    std::string command(line.substr(0, hash));
    command.erase(command.find_last_not_of(' ') + 1);
    if (hash != std::string_view::npos) left = std::max(left, command.size());
    lines.emplace_back(std::move(command), hash == std::string_view::npos ? "" : std::string(line.substr(hash + 2)));
  }
  std::string out = "\n" + style.bold("Examples:") + "\n";
  for (const auto& [command, comment] : lines) {
    out += "  " + command;
    if (!comment.empty()) out += std::string(left - command.size() + 2, ' ') + style.dim(comment);
    out += "\n";
  }
  return out;
}

}  // namespace

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

std::string option_label(const CLI::Option& option) {
  std::string label;
  for (const std::string& name : option.get_snames()) label += (label.empty() ? "-" : ", -") + name;
  if (label.empty()) label = "    ";
  for (const std::string& name : option.get_lnames()) label += (label.back() == ' ' ? "--" : ", --") + name;
  if (takes_value(option)) {
    const std::string type = option.get_type_name();  // "INT:INT in [1 - 4096]": an error tells the range
    label += " " + type.substr(0, type.find(':'));
  }
  return label;
}

std::string Help::make_help(const CLI::App* app, std::string, CLI::AppFormatMode) const {
  const Style style(STDOUT_FILENO);
  const size_t width = std::min(static_cast<size_t>(terminal_width()), kMaxWidth);
  std::string out = style.bold("Usage:") + " " + usage(*app, verb_) + "\n\n";
  out += wrap(verb_ ? verb_->summary + std::string(".") : app->get_description(), width, 0) + "\n";
  if (verb_ && *verb_->details) out += "\n" + wrap(verb_->details, width, 0) + "\n";

  std::vector<std::string> groups;
  for (const CLI::App* sub : app->get_subcommands({})) {
    if (std::find(groups.begin(), groups.end(), sub->get_group()) == groups.end()) groups.push_back(sub->get_group());
  }
  for (const std::string& group : groups) {
    Rows rows;
    for (const CLI::App* sub : app->get_subcommands({})) {
      if (sub->get_group() == group) rows.emplace_back(sub->get_name(), sub->get_description());
    }
    out += section(group, rows, width, style);
  }
  Rows arguments, flags;
  for (const CLI::Option* option : app->get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    if (option->get_positional()) {
      std::string name = option->get_name(true);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::toupper(c); });
      arguments.emplace_back(name, description(*option));
    } else {
      flags.emplace_back(option_label(*option), description(*option));
    }
  }
  // --help last: it is the one flag that everybody knows.
  std::stable_partition(flags.begin(), flags.end(),
                        [](const auto& row) { return row.first.find("--help") == std::string::npos; });
  out += section("Arguments", arguments, width, style) + section("Flags", flags, width, style);
  if (verb_ && *verb_->examples) out += examples(verb_->examples, style);
  if (!verb_) out += "\n" + app->get_footer();
  return out;
}

}  // namespace miao::cli
