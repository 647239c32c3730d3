// miao completion: shell scripts that complete verbs, flags and file names, made from the parsed verb table.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "cli/help.h"
#include "cli/output.h"
#include "cli/verb.h"

namespace miao::cli {

namespace {

struct Flag {
  std::vector<std::string> names;  // "-v", "--verbose"
  std::string text;
  bool value = false;
};

std::vector<Flag> flags_of(const CLI::App& app) {
  std::vector<Flag> out;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() || option->get_group().empty()) continue;
    Flag flag{.names = {}, .text = option->get_description(), .value = takes_value(*option)};
    for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    out.push_back(std::move(flag));
  }
  return out;
}

// Text inside single quotes of a shell script.
std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string words(const CLI::App& app) {
  std::string out;
  for (const Flag& flag : flags_of(app)) {
    for (const std::string& name : flag.names) out += (out.empty() ? "" : " ") + name;
  }
  return out;
}

void bash(const CLI::App& root) {
  std::string verbs, cases;
  for (const CLI::App* verb : root.get_subcommands({})) {
    verbs += (verbs.empty() ? "" : " ") + verb->get_name();
    cases += fmt::format("    {}) words={} ;;\n", verb->get_name(), shell_quoted(words(*verb)));
  }
  out().write(fmt::format(R"sh(# bash completion for miao; load it with: source <(miao completion bash)
_miao() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} verb= words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in -*) ;; *) verb=${{COMP_WORDS[i]}}; break ;; esac
  done
  case $verb in
    '') words={} ;;
{}  esac
  if [[ $word == -* || -z $verb ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -o bashdefault -F _miao miao
)sh",
                          shell_quoted(verbs + " " + words(root)), cases));
}

// "[...]" of zsh's _arguments: brackets and colons are special.
std::string zsh_text(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh_arguments(const CLI::App& app) {
  std::string out;
  for (const Flag& flag : flags_of(app)) {
    for (const std::string& name : flag.names) {
      const std::string action = flag.value ? ":value:_files" : "";
      out += " \\\n        " + shell_quoted(name + "[" + zsh_text(flag.text) + "]" + action);
    }
  }
  return out;
}

void zsh(const CLI::App& root) {
  std::string verbs, cases;
  for (const CLI::App* verb : root.get_subcommands({})) {
    verbs += "    " + shell_quoted(verb->get_name() + ":" + zsh_text(verb->get_description())) + "\n";
    cases +=
        fmt::format("      {}) _arguments{} \\\n        '*:file:_files' ;;\n", verb->get_name(), zsh_arguments(*verb));
  }
  out().write(fmt::format(R"sh(#compdef miao
# zsh completion for miao; load it with: source <(miao completion zsh)
_miao() {{
  local -a verbs
  verbs=(
{})
  local context state state_descr line
  typeset -A opt_args
  _arguments -C{} \
        '1:verb:->verb' '*::arguments:->arguments'
  case $state in
    verb) _describe verb verbs ;;
    arguments) case $words[1] in
{}    esac ;;
  esac
}}
compdef _miao miao
)sh",
                          verbs, zsh_arguments(root), cases));
}

void fish_flags(const CLI::App& app, const std::string& condition) {
  for (const Flag& flag : flags_of(app)) {
    std::string line = "complete -c miao -n " + shell_quoted(condition);
    for (const std::string& name : flag.names) {
      line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    out().line(line + (flag.value ? " -r" : "") + " -d " + shell_quoted(flag.text));
  }
}

void fish(const CLI::App& root) {
  out().line("# fish completion for miao; load it with: miao completion fish | source");
  for (const CLI::App* verb : root.get_subcommands({})) {
    out().line("complete -c miao -f -n __fish_use_subcommand -a " + verb->get_name() + " -d " +
               shell_quoted(verb->get_description()));
  }
  fish_flags(root, "__fish_use_subcommand");
  for (const CLI::App* verb : root.get_subcommands({}))
    fish_flags(*verb, "__fish_seen_subcommand_from " + verb->get_name());
}

Run add(CLI::App& app, const Common&) {
  auto shell = std::make_shared<std::string>();
  app.add_option("shell", *shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}))
      ->type_name("SHELL");
  const CLI::App* root = app.get_parent();
  return [shell, root]() -> Result<int> {
    if (*shell == "bash") {
      bash(*root);
    } else if (*shell == "zsh") {
      zsh(*root);
    } else {
      fish(*root);
    }
    return kOk;
  };
}

}  // namespace

const Verb verb_completion = {
    .name = "completion",
    .group = "Other",
    .summary = "Print a script that completes verbs, flags and files in a shell",
    .examples =
        "source <(miao completion bash)          # in ~/.bashrc\n"
        "source <(miao completion zsh)           # in ~/.zshrc, after compinit\n"
        "miao completion fish > ~/.config/fish/completions/miao.fish",
    .add = add,
};

}  // namespace miao::cli
