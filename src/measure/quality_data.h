// Items to measure quality on, from files that people have: JSON Lines (an object a line) or values between tabs (TSV).
// Which of them a file is, its first line tells. A first line of TSV that names the columns is skipped; empty lines are
// too. Errors name the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace miao::measure {

// {"question" or "prompt": ..., "choices": [...], "answer": its place from 0, its text or its letter}; in TSV the
// prompt, the answer, and the choices. A "question" is asked as "Question: ...\nAnswer:", a prompt stands as it is.
struct Question {
  std::string prompt;
  std::vector<std::string> choices;
  int32_t answer = 0;
};
Result<std::vector<Question>> parse_questions(std::string_view text, std::string_view where);

// {"text" or "sentence": ..., "label": name or number}
struct LabelledText {
  std::string text, label;
};
Result<std::vector<LabelledText>> parse_labelled(std::string_view text, std::string_view where);

// {"text1" or "sentence1": ..., "text2" or "sentence2": ..., "score": number}
struct ScoredPair {
  std::string first, second;
  double score = 0;
};
Result<std::vector<ScoredPair>> parse_pairs(std::string_view text, std::string_view where);

// {"audio": path, from the folder of the file where it is relative, "text": what is said}
struct Recording {
  std::string audio, text;
};
Result<std::vector<Recording>> parse_recordings(std::string_view text, std::string_view where);

// A text a line.
Result<std::vector<std::string>> parse_texts(std::string_view text, std::string_view where);

}  // namespace miao::measure
