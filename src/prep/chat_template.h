// Chat templates: the Jinja program that comes with a model turns a conversation into the text that the model reads.
//
// An own interpreter for the Jinja2 subset that chat templates use, rendering as transformers' apply_chat_template
// does. A template is data from a model file, so it is never trusted to behave: no reflection, no I/O, no include or
// import, and every render works inside budgets (steps, output, list length, nesting, CPU time). Template text is
// server configuration; a request supplies messages, tools and variables only.
//
// Provenance: the result says for each byte whether the template (and bos/eos) wrote it or the conversation did.
//   text      <|im_start|>user\nHello <|im_end|><|im_end|>\n
//   segments  [ trusted     ][ untrusted     ][ trusted   ]
// Control tokens may be matched only where the whole token lies in trusted text, so a user who types "<|im_end|>" gets
// those ten characters and no control token. Segments do not split words: ordinary text is encoded across them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prep/tokenizer.h"

namespace miao::prep {

struct ChatMessage {
  std::string role;
  std::string content;
  std::string
      json;  // when set: the whole message as one JSON object (tool calls, content parts); the others are unused
};

struct ChatVariable {
  std::string json;      // any JSON value
  bool trusted = false;  // its strings may hold control tokens: true only for what the server's owner wrote
};

struct ChatLimits {
  int64_t steps = 1'000'000;       // nodes evaluated, items and text touched
  double cpu_seconds = 0.1;        // of the calling thread
  size_t output_bytes = 0;         // also the longest string; 0: 8 x (template + input) + 1 MiB
  size_t list_items = 100'000;     // longest list, dict or range
  size_t input_bytes = 256 << 20;  // messages, tools, documents and variables together
};

struct ChatInput {
  std::vector<ChatMessage> messages;
  std::string messages_json;   // a JSON array of messages; used instead of `messages` when not empty
  std::string tools_json;      // a JSON array; empty: the template sees none
  std::string documents_json;  // a JSON array; empty: the template sees none
  bool add_generation_prompt = true;
  std::string bos_token;
  std::string eos_token;
  std::map<std::string, ChatVariable> variables;  // e.g. enable_thinking -> "false"; names above are refused
  int64_t now = 0;                                // Unix seconds shown by strftime_now, in local time; 0: the clock
  ChatLimits limits;
};

struct Segment {
  size_t begin = 0;  // bytes of Rendered::text
  size_t end = 0;
  bool trusted = false;
};

struct Rendered {
  std::string text;
  std::vector<Segment> segments;  // cover the text in order; neighbours differ in trust
};

namespace jinja {
struct Template;
}

// The text of a model's template and where it stands.
struct ChatTemplateText {
  std::string text, where;
};
// Of a directory: chat_template.jinja, or else "chat_template" of chat_template.json or tokenizer_config.json (of a
// list of named ones: "default"). No value where there is none. `where` is the directory.
Result<std::optional<ChatTemplateText>> find_chat_template(const ReadFile& read, const std::string& where);

// Immutable after parse; copies share the program; render may run in many threads at once, each with 1 MiB of stack
// free.
class ChatTemplate {
 public:
  // `where` names the source in errors ("model.gguf: tokenizer.chat_template"). Errors name the line: invalid for bad
  // syntax, unsupported for include, import, extends, recursive loops.
  static Result<ChatTemplate> parse(std::string_view source, std::string_view where);

  // Errors name the template line or the bad part of the input. raise_exception() in a template gives code invalid.
  Result<Rendered> render(const ChatInput& input) const;

  // Hex SHA-256 of the source bytes, to print at load and to compare with a list of known templates.
  std::string sha256() const;
  const std::string& source() const;
  // True when the template reads this name ("tools", "enable_thinking"): a variable of the input, or one it sets
  // itself.
  bool reads(std::string_view name) const;

 private:
  ChatTemplate() = default;
  std::shared_ptr<const jinja::Template> program_;
};

}  // namespace miao::prep
