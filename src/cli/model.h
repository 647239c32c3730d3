// The MODEL argument of verbs: from what the user typed to a local path, and to its tokenizer.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "cli/verb.h"
#include "prep/tokenizer.h"

namespace miao::cli {

struct ModelArgument {
  std::string ref;
  bool offline = false;
};
// Adds the positional MODEL and --offline.
void add_model_argument(CLI::App& app, ModelArgument& argument);

struct PullOptions {
  bool offline = false, refresh = false;
  std::string token;
};
// io::resolve with a progress bar and Ctrl-C.
Result<std::filesystem::path> pull_model(const std::string& ref, const Common& common, const PullOptions& options);
Result<std::filesystem::path> find_model(const ModelArgument& argument, const Common& common);

// Of a model file or directory, a vocabulary-only GGUF, a directory that has a tokenizer and no weights, a
// tokenizer.json or a SentencePiece model.
Result<prep::Tokenizer> load_tokenizer(const std::filesystem::path& path);

constexpr size_t kMaxPrompt = size_t{64} << 20;  // bytes of a prompt, of messages, of tools
// A file, or standard input for "-". Errors: invalid for one of more than `max_bytes`.
Result<std::string> read_input(const std::string& path, size_t max_bytes = kMaxPrompt);

}  // namespace miao::cli
