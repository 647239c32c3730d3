// The tasks of miao run on encoders: each runs the model and writes to standard output, with --json one object.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/encode/texts.h"
#include "prep/tokenizer.h"
#include "runtime/encoder.h"

namespace miao::cli {

struct TaskRun {
  const EncodeOptions& o;
  const Common& common;
  runtime::Encoder& encoder;
};

Result<int> print_embeddings(const TaskRun& run);
Result<int> print_classes(const TaskRun& run);
Result<int> print_explanations(const TaskRun& run);
Result<int> print_entities(const TaskRun& run);
Result<int> print_answers(const TaskRun& run);
Result<int> print_ranking(const TaskRun& run);

// Shared by them.
std::string number(const char* form, double value);
nlohmann::ordered_json head_of(const TaskRun& run);
std::string_view slice(std::string_view text, prep::ByteRange range);
// What is wrong with one text: a line on standard error; the others go on. For --json the object in its place.
nlohmann::ordered_json report(const Error& error, size_t text);
// The texts that the model can read, by their places in o.texts; what is wrong with the others is reported.
struct Readable {
  std::vector<size_t> places;
  std::vector<std::string> texts;
  std::vector<std::string> errors;  // of each place; empty: it can be read
  int code() const;
};
Result<Readable> readable(const TaskRun& run, int64_t limit, const std::string& prompt = {});

}  // namespace miao::cli
