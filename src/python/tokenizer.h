// TextSide: the tokenizer and the chat template of a model, which is what Python calls its Tokenizer. It shares the
// immutable parts of both, so it may outlive the model and be used from many threads.
#pragma once

#include <optional>

#include "prep/chat_template.h"
#include "prep/tokenizer.h"
#include "python/errors.h"
#include "python/session.h"

namespace miao::python {

class TextSide {
 public:
  explicit TextSide(const Session& session);  // raises what is wrong with the tokenizer

  const prep::Tokenizer& tokenizer() const { return tokenizer_; }
  // A list of messages through the chat template; `tools` is a list or None. Raises what the template refuses.
  prep::Rendered render(nb::handle messages, nb::handle tools, bool add_generation_prompt) const;

 private:
  prep::Tokenizer tokenizer_;
  Result<std::optional<prep::ChatTemplate>> form_;
};

}  // namespace miao::python
