// The door: gathers the variables a template may read, renders, and turns provenance into segments.
#include "prep/chat_template.h"

#include <openssl/sha.h>

#include <algorithm>
#include <chrono>

#include "prep/jinja/evaluator.h"
#include "prep/jinja/from_json.h"
#include "prep/jinja/parser.h"
#include "prep/jinja/unicode.h"

namespace miao::prep {

namespace {

using jinja::Kind;
using jinja::Text;
using jinja::Value;

constexpr std::string_view kReserved[] = {"messages",  "tools",     "documents",     "add_generation_prompt",
                                          "bos_token", "eos_token", "chat_template", "tokenize"};

Error bad_input(std::string message, std::string where) {
  return Error{Code::invalid, std::move(message), std::move(where)};
}

size_t input_size(const ChatInput& input) {
  size_t size = input.messages_json.size() + input.tools_json.size() + input.documents_json.size();
  for (const ChatMessage& m : input.messages) size += m.role.size() + m.content.size() + m.json.size();
  for (const auto& [name, variable] : input.variables) size += name.size() + variable.json.size();
  return size;
}

Result<Value> message_value(const ChatMessage& message, const std::string& where) {
  if (!message.json.empty()) return jinja::messages_from_json(message.json, where);
  if (!jinja::is_valid_utf8(message.content) || !jinja::is_valid_utf8(message.role)) {
    return bad_input("message text is not valid UTF-8; convert it first", where);
  }
  auto dict = std::make_shared<jinja::DictObject>();
  dict->set(Value::literal("role"), jinja::role_value(message.role));
  dict->set(Value::literal("content"), Value(Text(message.content, false)));
  return jinja::make_dict(std::move(dict));
}

Result<Value> messages_value(const ChatInput& input) {
  if (!input.messages_json.empty()) {
    MIAO_TRY(Value messages, jinja::messages_from_json(input.messages_json, "messages"));
    if (!messages.is(Kind::list)) return bad_input("messages must be a JSON array", "messages");
    return messages;
  }
  std::vector<Value> messages;
  for (size_t i = 0; i < input.messages.size(); ++i) {
    MIAO_TRY(Value message, message_value(input.messages[i], "messages[" + std::to_string(i) + "]"));
    if (!message.is(Kind::dict)) return bad_input("a message must be a JSON object", "messages");
    messages.push_back(std::move(message));
  }
  return jinja::make_list(Kind::list, std::move(messages));
}

Result<Value> array_or_none(const std::string& json, const char* where) {
  if (json.empty()) return Value::none();
  MIAO_TRY(Value value, jinja::from_json(json, where, false));
  if (!value.is(Kind::list) && !value.is(Kind::none)) return bad_input("must be a JSON array", where);
  return value;
}

bool is_identifier(std::string_view name) {
  if (name.empty() || name.size() > 64 || (name[0] >= '0' && name[0] <= '9') || name[0] == '_') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  });
}

// Every variable of the input, for the names that the template mentions.
Result<std::vector<Value>> globals(const jinja::Template& program, const ChatInput& input) {
  std::map<std::string, Value, std::less<>> values;
  MIAO_TRY(values["messages"], messages_value(input));
  MIAO_TRY(values["tools"], array_or_none(input.tools_json, "tools"));
  MIAO_TRY(values["documents"], array_or_none(input.documents_json, "documents"));
  values["add_generation_prompt"] = Value(input.add_generation_prompt);
  for (const auto& [name, token] :
       {std::pair("bos_token", &input.bos_token), std::pair("eos_token", &input.eos_token)}) {
    if (!jinja::is_valid_utf8(*token)) return bad_input("token is not valid UTF-8", name);
    values[name] = Value::literal(*token);
  }
  for (const auto& [name, variable] : input.variables) {
    const std::string where = "template variable '" + jinja::clipped(name) + "'";
    const bool reserved = std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved);
    if (reserved || jinja::find_function(name)) return bad_input("this name is reserved; choose another", where);
    if (!is_identifier(name)) return bad_input("not a variable name; use letters, digits and underscores", where);
    MIAO_TRY(values[name], jinja::from_json(variable.json, where, variable.trusted));
  }
  std::vector<Value> result(program.names.size());
  for (size_t id = 0; id < program.names.size(); ++id) {
    const std::string& name = program.names[id];
    if (const auto row = values.find(name); row != values.end()) {
      result[id] = row->second;
    } else if (const jinja::Builtin* builtin = jinja::find_function(name)) {
      auto callable = std::make_shared<jinja::Callable>();
      callable->name = name;
      callable->builtin = builtin;
      result[id] = Value::object(Kind::callable, std::move(callable));
    }
  }
  return result;
}

}  // namespace

Result<ChatTemplate> ChatTemplate::parse(std::string_view source, std::string_view where) {
  if (!jinja::is_valid_utf8(source)) {
    return Error{Code::invalid, "chat template is not valid UTF-8", std::string(where)};
  }
  ChatTemplate result;
  MIAO_TRY(result.program_, jinja::parse(source, where));
  return result;
}

Result<Rendered> ChatTemplate::render(const ChatInput& input) const {
  const ChatLimits& limits = input.limits;
  const size_t size = input_size(input);
  if (size > limits.input_bytes) {
    return bad_input("conversation is larger than " + std::to_string(limits.input_bytes) + " bytes", "messages");
  }
  MIAO_TRY(std::vector<Value> variables, globals(*program_, input));
  const size_t output =
      limits.output_bytes > 0 ? limits.output_bytes : 8 * (program_->source.size() + size) + (size_t{1} << 20);
  jinja::Budget budget(limits.steps, output, limits.list_items, limits.cpu_seconds);
  jinja::Machine machine{.budget = budget, .now = input.now};
  if (machine.now == 0) {
    machine.now =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  }
  jinja::Evaluator evaluator(*program_, machine, std::move(variables));
  MIAO_TRY(const Text text, evaluator.run());
  Rendered rendered{.text = text.bytes()};
  size_t at = 0;
  text.each_run(0, text.size(), [&](std::string_view bytes, bool trusted) {
    rendered.segments.push_back({at, at + bytes.size(), trusted});
    at += bytes.size();
  });
  return rendered;
}

std::string ChatTemplate::sha256() const {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(program_->source.data()), program_->source.size(), digest);
  std::string hex;
  for (const unsigned char byte : digest) {
    hex += "0123456789abcdef"[byte >> 4];
    hex += "0123456789abcdef"[byte & 15];
  }
  return hex;
}

const std::string& ChatTemplate::source() const { return program_->source; }

bool ChatTemplate::reads(std::string_view name) const {
  for (size_t id = 0; id < program_->names.size(); ++id) {
    if (program_->names[id] == name) return program_->read[id];
  }
  return false;
}

}  // namespace miao::prep
