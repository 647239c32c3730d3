#include "cli/chat/conversation.h"

#include <algorithm>

#include "base/json.h"

namespace miao::cli {

Conversation::Conversation(prep::Tokenizer tokenizer, std::optional<prep::ChatTemplate> form, bool control)
    : tokenizer_(std::move(tokenizer)), form_(std::move(form)), control_(control) {}

void Conversation::set_system(std::string text) {
  system_ = std::move(text);
  clear();
}

void Conversation::clear() {
  messages_.clear();
  if (!system_.empty()) add("system", system_);
}

void Conversation::add(std::string role, std::string content) {
  messages_.push_back({.role = std::move(role), .content = std::move(content), .json = {}});
}

void Conversation::drop_last() {
  if (!messages_.empty()) messages_.pop_back();
}

const prep::ChatMessage* Conversation::last(std::string_view role) const {
  const auto found = std::find_if(messages_.rbegin(), messages_.rend(), [&](const auto& m) { return m.role == role; });
  return found == messages_.rend() ? nullptr : &*found;
}

Result<std::vector<int32_t>> Conversation::ids() const {
  if (!form_) {
    std::string text;
    for (const prep::ChatMessage& message : messages_) text += message.content;
    MIAO_TRY(auto ids, tokenizer_.encode(text, {.add_special = true, .parse_special = control_}));
    if (ids.empty()) return Error{Code::invalid, "is empty", "prompt"};
    return ids;
  }
  const auto piece = [&](std::optional<int32_t> id) {
    return id ? std::string(tokenizer_.id_to_piece(*id)) : std::string();
  };
  prep::ChatInput input;
  input.messages = messages_;
  input.bos_token = piece(tokenizer_.bos_id());
  input.eos_token = piece(tokenizer_.eos_id());
  MIAO_TRY(const prep::Rendered rendered, form_->render(input));
  return tokenizer_.encode(rendered.text, rendered.segments, false);
}

std::string Conversation::json() const {
  Json out = Json::array();
  for (const prep::ChatMessage& message : messages_) {
    out.push_back({{"role", message.role}, {"content", message.content}});
  }
  return dump_json(out, 2) + "\n";
}

Result<void> Conversation::load(std::string_view text, std::string_view where) {
  MIAO_TRY(const Json saved, parse_json(text, where));
  const Error wrong{Code::invalid, "must be a list of objects with the texts \"role\" and \"content\"",
                    std::string(where)};
  if (!saved.is_array()) return wrong;
  std::vector<prep::ChatMessage> messages;
  for (const Json& entry : saved) {
    if (!entry.is_object() || !entry.contains("role") || !entry.contains("content") || !entry["role"].is_string() ||
        !entry["content"].is_string()) {
      return wrong;
    }
    messages.push_back(
        {.role = entry["role"].get<std::string>(), .content = entry["content"].get<std::string>(), .json = {}});
  }
  messages_ = std::move(messages);
  system_ = !messages_.empty() && messages_[0].role == "system" ? messages_[0].content : std::string();
  return {};
}

}  // namespace miao::cli
