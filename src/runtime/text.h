// The text side of a checkpoint: its tokenizer and chat template, wherever its kind of file keeps them.
#pragma once

#include <optional>

#include "base/result.h"
#include "io/checkpoint.h"
#include "prep/chat_template.h"
#include "prep/tokenizer.h"

namespace miao::runtime {

// GGUF: the keys tokenizer.ggml.*. Hugging Face: tokenizer.json, or the SentencePiece models of older directories, and
// tokenizer_config.json. not_found when there is none.
Result<prep::Tokenizer> load_tokenizer(const io::Checkpoint& checkpoint);

// GGUF: tokenizer.chat_template. Hugging Face: the first of chat_template.jinja, chat_template.json and
// tokenizer_config.json that has one (the entry named "default" where it lists several). No value when the model has
// none; an Error when it has one that cannot be used.
Result<std::optional<prep::ChatTemplate>> load_chat_template(const io::Checkpoint& checkpoint);

}  // namespace miao::runtime
