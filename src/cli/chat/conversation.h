// Conversation: the messages of a chat and the token ids that a model reads for the next answer.
//
// With a chat template the ids are those of the rendered text; control tokens come from the template alone, so a
// message that spells "<|im_end|>" is just these letters. Without one, the texts follow one another as they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "prep/chat_template.h"
#include "prep/tokenizer.h"

namespace miao::cli {

class Conversation {
 public:
  // `form` unset: raw text. `control` lets raw text spell control tokens.
  Conversation(prep::Tokenizer tokenizer, std::optional<prep::ChatTemplate> form, bool control = false);

  void set_system(std::string text);  // empty = none; clears the messages
  void clear();                       // keeps the system text
  void add(std::string role, std::string content);
  void drop_last();  // the last message, if there is one
  // The last message of this role; null when there is none.
  const prep::ChatMessage* last(std::string_view role) const;
  const prep::ChatMessage& back() const { return messages_.back(); }
  size_t size() const { return messages_.size(); }

  // Errors: what the template refuses, invalid where nothing is left to read.
  Result<std::vector<int32_t>> ids() const;
  bool raw() const { return !form_; }

  // JSON: [{"role": "user", "content": "..."}, ...], the system text first.
  std::string json() const;
  Result<void> load(std::string_view json, std::string_view where);

 private:
  prep::Tokenizer tokenizer_;
  std::optional<prep::ChatTemplate> form_;
  bool control_;
  std::string system_;
  std::vector<prep::ChatMessage> messages_;
};

}  // namespace miao::cli
