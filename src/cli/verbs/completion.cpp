// miao completion: shell scripts that complete verbs, flags, their values, models and file names, made from the parsed
// verb table.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>

#include "base/process.h"
#include "cli/help.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "io/hub.h"

namespace miao::cli {

namespace {

struct Flag {
  std::vector<std::string> names;  // "-v", "--verbose"
  std::string text;
  bool value = false;
  std::string choices;  // "f16 bf16 f32", or empty
};

// The values of CLI::IsMember, which stand in the type: "TYPE:{f16,bf16,f32}".
std::string choices_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t begin = type.find('{'), end = type.find('}');
  if (begin == std::string::npos || end == std::string::npos) return {};
  std::string out = type.substr(begin + 1, end - begin - 1);
  std::replace(out.begin(), out.end(), ',', ' ');
  return out;
}

const CLI::Option* positional(const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) return option;
  }
  return nullptr;
}
bool takes_model(const CLI::App& app) {
  const CLI::Option* const first = positional(app);
  return first && first->get_name() == "model";
}

// Shell code that prints a line for each name of a model.
std::string model_names() {
  std::string aliases;
  for (const io::Alias& alias : io::aliases()) aliases += " " + std::string(alias.name);
  return "printf \"%s\\n\"" + aliases + "; miao ls 2>/dev/null | awk \"NR > 1 {print \\$1}\"";
}

std::vector<Flag> flags_of(const CLI::App& app) {
  std::vector<Flag> out;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() || option->get_group().empty()) continue;
    Flag flag{
        .names = {}, .text = option->get_description(), .value = takes_value(*option), .choices = choices_of(*option)};
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

// "--kv) ..." for each flag of any verb that has choices.
std::string bash_values(const CLI::App& root) {
  std::map<std::string, std::string> values;
  for (const CLI::App* verb : root.get_subcommands({})) {
    for (const Flag& flag : flags_of(*verb)) {
      for (const std::string& name : flag.names) {
        if (!flag.choices.empty()) values[name] = flag.choices;
      }
    }
  }
  std::string out;
  for (const auto& [name, choices] : values) {
    out += fmt::format("    {}) COMPREPLY=($(compgen -W {} -- \"$word\")); return ;;\n", name, shell_quoted(choices));
  }
  return out;
}

void bash(const CLI::App& root) {
  std::string verbs, cases;
  for (const CLI::App* verb : root.get_subcommands({})) {
    const CLI::Option* const first = positional(*verb);
    verbs += (verbs.empty() ? "" : " ") + verb->get_name();
    cases += fmt::format("    {}) words={} models={} values={} ;;\n", verb->get_name(), shell_quoted(words(*verb)),
                         takes_model(*verb) ? "1" : "", shell_quoted(first ? choices_of(*first) : ""));
  }
  // Readline cuts words at colons, which names of models have: candidates lose what stands before the last one.
  out().write(fmt::format(R"sh(# bash completion for miao; load it with: source <(miao completion bash)
_miao() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} verb= words= models= values= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${{COMP_WORDS[i]}} in -*) ;; *) verb=${{COMP_WORDS[i]}}; break ;; esac
  done
  case ${{COMP_WORDS[COMP_CWORD-1]}} in
{}  esac
  case $verb in
    '') words={} ;;
{}  esac
  if [[ $word == -* || -z $verb ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    return
  fi
  COMPREPLY=($(compgen -W "$values" -- "$word"))
  if [[ -n $models ]]; then
    local whole=$word
    [[ -n $COMP_LINE ]] && whole=${{COMP_LINE:0:COMP_POINT}} && whole=${{whole##*[[:space:]]}}
    COMPREPLY=($(compgen -W "$({})" -- "$whole"))
    [[ $COMP_WORDBREAKS == *:* ]] && COMPREPLY=("${{COMPREPLY[@]#"${{whole%"${{whole##*:}}"}}"}}")
  fi
  COMPREPLY+=($(compgen -f -- "$word"))
}}
complete -o filenames -o bashdefault -F _miao miao
)sh",
                          bash_values(root), shell_quoted(verbs + " " + words(root)), cases, model_names()));
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
      const std::string values = flag.choices.empty() ? "_files" : "(" + flag.choices + ")";
      const std::string action = flag.value ? ":value:" + values : "";
      out += " \\\n        " + shell_quoted(name + "[" + zsh_text(flag.text) + "]" + action);
    }
  }
  return out;
}

void zsh(const CLI::App& root) {
  std::string verbs, cases;
  for (const CLI::App* verb : root.get_subcommands({})) {
    verbs += "    " + shell_quoted(verb->get_name() + ":" + zsh_text(verb->get_description())) + "\n";
    const CLI::Option* const first = positional(*verb);
    const std::string choices = first ? choices_of(*first) : "";
    const std::string rest = takes_model(*verb) ? "*:model:_miao_models"
                             : choices.empty()  ? "*:file:_files"
                                                : "1:value:(" + choices + ")";
    cases += fmt::format("      {}) _arguments{} \\\n        '{}' ;;\n", verb->get_name(), zsh_arguments(*verb), rest);
  }
  out().write(fmt::format(R"sh(#compdef miao
# zsh completion for miao; load it with: source <(miao completion zsh)
_miao_models() {{
  local -a names
  names=(${{(f)"$({})"}})
  _alternative 'models:model:compadd -a names' 'files:file:_files'
}}
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
                          model_names(), verbs, zsh_arguments(root), cases));
}

void fish_flags(const CLI::App& app, const std::string& condition) {
  for (const Flag& flag : flags_of(app)) {
    std::string line = "complete -c miao -n " + shell_quoted(condition);
    for (const std::string& name : flag.names) {
      line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
    }
    if (flag.value) line += flag.choices.empty() ? " -r" : " -x -a " + shell_quoted(flag.choices);
    out().line(line + " -d " + shell_quoted(flag.text));
  }
}

void fish(const CLI::App& root) {
  out().line("# fish completion for miao; load it with: miao completion fish | source");
  for (const CLI::App* verb : root.get_subcommands({})) {
    out().line("complete -c miao -f -n __fish_use_subcommand -a " + verb->get_name() + " -d " +
               shell_quoted(verb->get_description()));
  }
  fish_flags(root, "__fish_use_subcommand");
  for (const CLI::App* verb : root.get_subcommands({})) {
    const std::string condition = "__fish_seen_subcommand_from " + verb->get_name();
    fish_flags(*verb, condition);
    const CLI::Option* const first = positional(*verb);
    const std::string values = takes_model(*verb) ? "(" + model_names() + ")" : first ? choices_of(*first) : "";
    if (!values.empty()) out().line("complete -c miao -n " + shell_quoted(condition) + " -a " + shell_quoted(values));
  }
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
    .summary = "Print a script that completes verbs, flags, models and files in a shell",
    .examples =
        "source <(miao completion bash)          # in ~/.bashrc\n"
        "source <(miao completion zsh)           # in ~/.zshrc, after compinit\n"
        "miao completion fish > ~/.config/fish/completions/miao.fish",
    .add = add,
};

}  // namespace miao::cli
