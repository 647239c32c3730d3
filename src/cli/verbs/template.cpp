// miao template: render a conversation with the model's chat template, to see exactly what the model reads.
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "base/json.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "io/checkpoint.h"
#include "prep/chat_template.h"
#include "runtime/text.h"

namespace miao::cli {

namespace {

namespace fs = std::filesystem;

struct Options {
  ModelArgument model;
  std::string prompt, system, messages, tools;
  std::vector<std::string> variables;
  bool no_generation_prompt = false, source = false;
};

struct Loaded {
  prep::ChatTemplate chat;
  std::string bos, eos;
};

Result<Loaded> load(const fs::path& path) {
  if (path.extension() == ".jinja") {
    MIAO_TRY(const std::string source, read_file(path, size_t{16} << 20));
    MIAO_TRY(prep::ChatTemplate chat, prep::ChatTemplate::parse(source, path.string()));
    return Loaded{std::move(chat), "", ""};
  }
  MIAO_TRY(const io::Checkpoint checkpoint, io::Checkpoint::open(path));
  MIAO_TRY(std::optional<prep::ChatTemplate> chat, runtime::load_chat_template(checkpoint));
  if (!chat) {
    return Error{Code::not_found, "the model has no chat template; it may be a base model that continues plain text",
                 path.string()};
  }
  MIAO_TRY(const prep::Tokenizer tokenizer, runtime::load_tokenizer(checkpoint));
  auto piece = [&](std::optional<int32_t> id) { return id ? std::string(tokenizer.id_to_piece(*id)) : std::string(); };
  return Loaded{std::move(*chat), piece(tokenizer.bos_id()), piece(tokenizer.eos_id())};
}

// A JSON array of messages, or an object with "messages" and perhaps "tools" as chat requests have.
Result<void> read_messages(const Options& o, prep::ChatInput& input) {
  MIAO_TRY(const std::string text, read_input(o.messages));
  const std::string place = o.messages == "-" ? "standard input" : o.messages;
  MIAO_TRY(Json json, parse_json(text, place));
  if (json.is_object() && json.contains("tools")) input.tools_json = dump_json(json["tools"]);
  if (json.is_object() && json.contains("messages")) json = Json(json["messages"]);
  if (!json.is_array())
    return Error{Code::invalid, "must be an array of messages, or an object with \"messages\"", place};
  if (!o.system.empty()) json.insert(json.begin(), Json{{"role", "system"}, {"content", o.system}});
  input.messages_json = dump_json(json);
  return {};
}

Result<int> run(const Options& o, const Common& common) {
  prep::ChatInput input;
  input.add_generation_prompt = !o.no_generation_prompt;
  for (const std::string& variable : o.variables) {
    const size_t equals = variable.find('=');
    if (equals == std::string::npos || equals == 0)
      return usage_error(verb_template, "write variables as --set name=JSON");
    input.variables[variable.substr(0, equals)] = {.json = variable.substr(equals + 1), .trusted = true};
  }
  if (!o.source && o.prompt.empty() && o.messages.empty()) {
    return usage_error(verb_template, "give -p TEXT or --messages FILE");
  }
  MIAO_TRY(const fs::path path, find_model(o.model, common));
  MIAO_TRY(const Loaded loaded, load(path));
  if (o.source) {
    out().write(loaded.chat.source());
    return kOk;
  }
  if (!o.messages.empty()) {
    MIAO_CHECK_OK(read_messages(o, input));
  } else {
    if (!o.system.empty()) input.messages.push_back({.role = "system", .content = o.system, .json = ""});
    input.messages.push_back({.role = "user", .content = o.prompt, .json = ""});
  }
  if (!o.tools.empty()) {
    MIAO_TRY(input.tools_json, read_input(o.tools));
    const std::string place = o.tools == "-" ? "standard input" : o.tools;
    MIAO_TRY(const Json tools, parse_json(input.tools_json, place));
    if (!tools.is_array()) return Error{Code::invalid, "must be an array of tools", place};
  }
  input.bos_token = loaded.bos;
  input.eos_token = loaded.eos;
  MIAO_TRY(const prep::Rendered rendered, loaded.chat.render(input));
  if (common.json) {
    Json segments = Json::array();
    for (const prep::Segment& s : rendered.segments) {
      segments.push_back({{"text", rendered.text.substr(s.begin, s.end - s.begin)}, {"trusted", s.trusted}});
    }
    out().line(dump_json(Json{{"text", rendered.text}, {"segments", segments}, {"sha256", loaded.chat.sha256()}}, 2));
    return kOk;
  }
  out().write(rendered.text);
  if (is_tty(STDOUT_FILENO) && !rendered.text.ends_with('\n')) out().write("\n");
  return kOk;
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  auto* prompt = app.add_option("-p,--prompt", o->prompt, "One message of the user")->type_name("TEXT");
  app.add_option("--messages", o->messages,
                 "The conversation: a JSON array of messages, or an object with one; - is standard input")
      ->type_name("FILE")
      ->excludes(prompt);
  app.add_option("--system", o->system, "A system message before the others")->type_name("TEXT");
  app.add_option("--tools", o->tools, "Tools that the model may call: a JSON array")->type_name("FILE");
  app.add_option("--set", o->variables, "A variable of the template, such as enable_thinking=false")
      ->type_name("NAME=JSON");
  app.add_flag("--no-generation-prompt", o->no_generation_prompt, "End after the last message");
  app.add_flag("--source", o->source, "Print the template itself");
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_template = {
    .name = "template",
    .group = "Look inside",
    .summary = "Render a conversation with the chat template of a model",
    .details =
        "Prints the text that the model would read, byte for byte. --json also says which parts the template wrote "
        "(trusted) and which came from the messages: control tokens count in trusted parts only. MODEL may also be "
        "a .jinja file.",
    .examples =
        "miao template smollm2 -p 'What is 2 + 2?' --system 'Be brief.'\n"
        "miao template hf:Qwen/Qwen3-0.6B --messages chat.json --set enable_thinking=false\n"
        "miao template smollm2 --source",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
