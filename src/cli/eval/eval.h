// miao eval: flags, and what each kind of data asks of a model.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/engine_flags.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "measure/quality_report.h"
#include "runtime/encoder.h"

namespace miao::cli {

struct EvalFlags {
  ModelArgument model;
  std::string against, base_dtype = "auto", base_kv;
  std::string text, choices, labels, texts, pairs, speech;  // one of them names a file
  int64_t chunks = 0;                                       // of a text; 0 = all
  int64_t near = 10;                                        // texts that are looked for among others
  std::string language;                                     // of speech
  std::vector<std::string> max_loss;
  double level = 95;
  std::string html;
  EngineFlags engine;

  runtime::EngineOptions base_options() const;  // the base is as its file says, but for --base-...
  std::string command() const;
};

struct EvalPaths {
  std::filesystem::path model;
  std::optional<std::filesystem::path> base;
};

// One kind of data, measured: fills the subjects and the quality of the report. `data` is what the file holds.
using Evaluate = Result<void> (*)(const EvalFlags& o, const Common& common, const EvalPaths& paths,
                                  const std::string& data, measure::QualityReport& report);
Result<void> eval_text(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                       measure::QualityReport& report);
Result<void> eval_choices(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                          measure::QualityReport& report);
Result<void> eval_labels(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                         measure::QualityReport& report);
Result<void> eval_texts(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                        measure::QualityReport& report);
Result<void> eval_pairs(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                        measure::QualityReport& report);
Result<void> eval_speech(const EvalFlags& o, const Common& common, const EvalPaths& paths, const std::string& data,
                         measure::QualityReport& report);

// A measurement that can be interrupted, and shows how far it is.
class Measuring {
 public:
  Measuring(const Common& common, std::string name, const std::string& unit);
  measure::QualityRun run();

 private:
  ProgressBar bar_;
  std::string name_;
};

std::string quality_text(const measure::QualityReport& report);  // for a terminal

}  // namespace miao::cli
