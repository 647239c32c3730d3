// miao run on encoder-decoders of text: translations, summaries, answers.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/chat/likelihood.h"
#include "cli/chat/sampling_flags.h"
#include "cli/engine_flags.h"
#include "cli/seq2seq/search_flags.h"
#include "cli/verb.h"

namespace miao::cli {

struct AnswerOptions {
  std::string model;  // as the user called it
  std::vector<std::string> texts;
  bool truncate = false;
  int64_t max_tokens = -1;  // -1 = as the model's files say
  Explain explain;          // the first answer to each text
  SearchFlags search;
  SamplingFlags sampling;
  EngineFlags engine;
};

// One answer a text, in their order. A text that cannot be read is reported and the others are answered.
Result<int> run_seq2seq(const AnswerOptions& o, const Common& common, const std::filesystem::path& path);
// Answers each line that is typed at the terminal.
Result<int> run_seq2seq_session(const AnswerOptions& o, const std::filesystem::path& path,
                                const std::filesystem::path& history);

}  // namespace miao::cli
