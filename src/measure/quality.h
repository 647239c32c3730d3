// Quality of a model, measured: on a text, on questions with choices, on labelled texts, as vectors, on recordings, by
// itself and against a base that reads the same items.
//
//   MIAO_TRY(const TextRecords records, measure_text(*model, base.get(), text, {.ctx = 512}, {}));
//   Quality quality = summarise(records, 0.95);
//   MIAO_CHECK_OK(judge(quality, budgets));
//
// A task gives a record an item, of both models, in the order of the items; summarise() makes figures with intervals
// and losses with bounds of them. Items that hang together (tokens of a chunk) are resampled together.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "measure/budget.h"
#include "measure/chart.h"
#include "measure/quality_data.h"
#include "measure/stats.h"

namespace miao::runtime {
class Engine;
class Encoder;
}  // namespace miao::runtime

namespace miao::measure {

struct QualityRun {
  const std::atomic<bool>* stop = nullptr;                         // once true the measurement ends with cancelled
  std::function<void(int64_t done, int64_t total)> progress = {};  // in units of the task
};

struct Metric {
  enum class Form : uint8_t { number, percent, count };
  std::string key;    // in JSON: "kld_mean"
  std::string label;  // for people: "KL divergence, mean"
  double value = 0;
  std::optional<Interval> ci;  // at Quality::level; none where there is too little data, or none is known
  Form form = Form::number;
};
std::string shown(const Metric& metric, double value);  // "98.3 %", "0.0123"

struct Quality {
  std::string task;        // "text"
  std::string unit, item;  // what is resampled and what is counted: "chunk", "token"
  int64_t units = 0, items = 0;
  bool paired = false;            // there was a base
  double level = 0.95;            // of intervals (two-sided) and of bounds (one-sided)
  std::vector<Metric> metrics;    // the most telling first
  std::vector<Loss> losses;       // that budgets may be about; empty without a base
  std::vector<Verdict> verdicts;  // by judge()
  std::vector<Chart> charts;
  std::vector<std::string> notes;  // how it was measured, in words

  const Metric* find(std::string_view key) const;
  Outcome outcome() const;    // the worst of the verdicts
  std::string count() const;  // "1020 tokens of 4 chunks", "67 questions"
};

// Adds the verdict of each budget. All of them have to hold, so none needs a correction for their number. Errors:
// invalid for a metric that the task does not measure, or where there is no base.
Result<void> judge(Quality& quality, std::span<const Budget> budgets);

// --- A text: how likely the model finds it, and how far its distributions are from the base's ---

// Windows as llama-perplexity cuts them: `ctx` tokens side by side, the first of each replaced by the begin token where
// the tokenizer has one; the second half is scored, each token behind all before it in its window.
struct TextCase {
  int64_t ctx = 512;
  int64_t chunks = 0;  // the first so many windows; 0 = all
};
struct TextRecords {
  int64_t ctx = 0, chunks = 0, scored = 0;  // scored: tokens of each chunk
  int64_t tokens = 0;                       // of the text
  bool begins = false;                      // windows begin with a begin token
  bool paired = false;
  std::vector<float> nll;  // (chunks, scored): -ln p of the token
  // Empty without a base. kl: of the base's distribution from the model's; tv: their total variation distance.
  std::vector<float> base_nll, kl, tv;
  std::vector<uint8_t> same_top, right, base_right;  // the likeliest token is the base's; is the text's
};
// Errors: invalid for a text that is no text, empty or shorter than a window (with the number of its tokens), for a
// window that a model cannot read, and for a base with another tokenizer or vocabulary; unsupported for what is no
// decoder; corrupt for logits that are no numbers; cancelled.
Result<TextRecords> measure_text(runtime::Engine& model, runtime::Engine* base, std::string_view text,
                                 const TextCase& what, const QualityRun& run);
// The same of windows that were cut before, all of one length: their first tokens stand as they are.
Result<TextRecords> measure_windows(runtime::Engine& model, runtime::Engine* base,
                                    std::span<const std::vector<int32_t>> windows, const QualityRun& run);
Quality summarise(const TextRecords& records, double level);

// --- Answers: choices by likelihood, classes of texts ---

struct AnswerRecords {
  std::string task, item;  // "choices", "question"
  bool paired = false;
  std::vector<int32_t> truth;  // (items)
  // One way to choose: what the model chose, and the base.
  struct Picks {
    std::string metric, label;  // "accuracy_norm", "accuracy by letter"
    std::vector<int32_t> own, base;
  };
  std::vector<Picks> picks;
  std::vector<float> kl;  // of labels, (items): of the base's classes from the model's; empty without a base
  std::vector<std::string> notes;
};
// Each choice behind its prompt, rated by the sum of ln p of its tokens ("accuracy"), and by that for each letter
// ("accuracy_norm"). Models may have tokenizers of their own. Errors: unsupported for what is no decoder; invalid for a
// question that is too long; cancelled.
Result<AnswerRecords> measure_choices(runtime::Engine& model, runtime::Engine* base,
                                      std::span<const Question> questions, const QualityRun& run);
// Labels are names of the model's classes, or their places. Texts that are too long lose their end. Errors: unsupported
// for a model that does not classify texts; invalid for a label that a model lacks; cancelled.
Result<AnswerRecords> measure_labels(runtime::Encoder& model, runtime::Encoder* base,
                                     std::span<const LabelledText> texts, const QualityRun& run);
Quality summarise(const AnswerRecords& records, double level);

// --- Vectors of sentences ---

// Of each text: the cosine of its vectors by both models, and the share of its `near` nearest texts by the base's
// vectors that are among those by the model's. Dimensions have to agree.
struct VectorRecords {
  int64_t near = 0;
  // distance: 1 - cosine, from the difference of the vectors: it is exact where a cosine is all but 1.
  std::vector<float> cosine, overlap, distance;
};
Result<VectorRecords> measure_vectors(runtime::Encoder& model, runtime::Encoder& base,
                                      std::span<const std::string> texts, int64_t near, const QualityRun& run);
Quality summarise(const VectorRecords& records, double level);

// Of each pair: people's score, and the cosine by each model.
struct PairRecords {
  bool paired = false;
  std::vector<double> score, own, base;
};
Result<PairRecords> measure_pairs(runtime::Encoder& model, runtime::Encoder* base, std::span<const ScoredPair> pairs,
                                  const QualityRun& run);
Quality summarise(const PairRecords& records, double level);

// --- Speech to text ---

// Of each recording: words of the reference, and words that were wrong, missing or too many (least edit distance).
struct SpeechRecords {
  bool paired = false;
  std::vector<int64_t> words, errors, base_errors;
};
// Words are compared in lower case, without punctuation. `language` as in TranscribeOptions. Errors name the recording.
Result<SpeechRecords> measure_speech(runtime::Engine& model, runtime::Engine* base,
                                     std::span<const Recording> recordings, const std::string& language,
                                     const QualityRun& run);
Quality summarise(const SpeechRecords& records, double level);

}  // namespace miao::measure
