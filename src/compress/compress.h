// From a checkpoint and budgets to a model that keeps them, and to what was found on the way.
//
//   texts -> importance of columns ---+
//   model -> times of types ----------+-> solver -> types of all matrices -> GPTQ -> file -> loss and time, measured
//         -> losses of matrices ------+     ^                                                       |
//                                           +--------- what prediction and measurement differ by <--+
//
// Four sets of text that have nothing in common: weights are calibrated on the first, choices made on the second,
// candidates judged on the third as often as need be. Those that pass there are tested on the fourth in an order that
// was fixed before: the one with the least predicted loss first, until one misses. So the bound of the last that passed
// holds at its level, however many there were (fixed-sequence testing; Maurer, Hothorn and Lehmacher 1995, and for
// risks of models Angelopoulos et al. 2021, arXiv 2110.01052).
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "compress/allocation.h"
#include "compress/evaluate.h"
#include "compress/sensitivity.h"
#include "compress/time_table.h"
#include "kernels/kv.h"
#include "measure/budget.h"
#include "measure/quality.h"
#include "measure/stats.h"
#include "measure/workload.h"

namespace miao::compress {

class Measurements;

struct Budgets {
  std::vector<measure::Budget> losses;
  std::optional<double> speed;                 // a request is at least so many times as fast as the base's
  std::optional<double> first, step, request;  // seconds at most: to the first token, of each later one, of all
  std::optional<double> size, memory;          // bytes at most: of the file, of the running model
  std::optional<double> size_share;            // of the base's file

  bool any() const { return !losses.empty() || speed || first || step || request || size || memory || size_share; }
};
// Values of command lines. Errors: invalid, with what is expected.
Result<double> parse_speed(std::string_view text);                 // "2x", "2"
Result<double> parse_seconds(std::string_view text);               // "200ms", "1.5s", "15min"
Result<void> parse_size(std::string_view text, Budgets& budgets);  // "60MB", "1.5GB", "40%": size or size_share
Result<double> parse_bytes(std::string_view text);                 // "60MB", "1.5GiB"
// Whether a loss budget may be about such a metric, of some kind of model. `counted`: there are questions or labels.
// Errors: invalid, with what is missing.
Result<void> check_metric(std::string_view metric, bool counted, bool evaluate);

struct CompressOptions {
  Budgets budgets;
  Request request;
  std::string text;        // what the model should stay good at; empty = what it writes by itself
  std::string final_text;  // the fourth set, where it is a text of its own
  std::string text_name = "the model's own text";
  // Of encoders, whose text is a text a line: what they are judged by too, divided among the sets as the text is.
  std::vector<measure::ScoredPair> pairs;     // of models that give vectors
  std::vector<measure::LabelledText> labels;  // of those that classify
  int64_t near = 10;                          // neighbours whose changes are counted
  std::optional<int64_t> tokens;              // of each text of a request; none = as they are in the text
  // Of inputs, whose latency is told of the base and the result; none = uniform up to the longest of a request.
  std::optional<measure::LengthDistribution> lengths;
  // A figure of the user's own, which budgets of "evaluate" are about; computed once for a file. One number has no
  // interval, and no second set that it was not chosen on: it is judged by itself.
  Evaluate evaluate;
  std::string evaluate_name;    // what it is called
  bool evaluate_kept = false;   // the store knows it by its name, and a second run computes nothing
  bool evaluate_lower = false;  // lower is better
  // Budgets of "accuracy" and "accuracy_norm" are about these: two of five in place of the third set, the others of the
  // fourth.
  std::vector<measure::Question> questions;
  std::string questions_name;
  std::vector<DType> types;         // to choose from; empty = all that are worth it
  std::vector<kernels::KvType> kv;  // for keys and values; empty = F16, INT8, INT4
  double level = 0.95;
  int tries = 5;       // candidates that are built at most
  double seconds = 0;  // after so many no further candidate is begun; 0 = no limit
  uint64_t seed = 1;
  int threads = 0;
  std::string writer;
  Measurements* store = nullptr;
  std::function<void(std::string_view what, uint64_t done, uint64_t total)> progress;
  std::function<void(const std::string& line)> note;  // what was found, as it is found
  const std::atomic<bool>* cancel = nullptr;
};

// Speed of a model beside that of the base: both in turn, round by round.
struct Speeds {
  Times base, own;                            // medians
  std::vector<double> base_request, request;  // seconds, of each round
  double ratio = 0;                           // base's request by own, median of rounds
  double ratio_low = 0;                       // with the confidence of the report it is above this
};

// Keys and values of a decoder in a type, beside those of the model as it is.
struct KvOption {
  kernels::KvType type;
  double loss = 0;    // measured on the second set
  Times more;         // than the model as it is takes; where it takes less, below zero
  int64_t bytes = 0;  // of memory, likewise
};

struct Candidate {
  std::string name;  // "candidate 2"
  TypesByName types;
  std::optional<kernels::KvType> kv;  // of decoders
  Costs predicted = {};
  double bound = 0;  // Allocation::bound
  std::string key;   // of the file: what it is made of
  uint64_t bytes = 0;
  int64_t memory = 0;
  std::optional<measure::Quality> quality;        // on the third set
  std::optional<measure::Quality> final_quality;  // on the fourth, where it came to that
  std::optional<Speeds> speeds;
  std::vector<std::string> misses;  // budgets that are not shown to be kept, in words; empty = it passes
  double over = 0;                  // the largest share by which one of them is missed
};

// A mix that others would take, predicted and measured as candidates are before they are built.
struct Reference {
  std::string name;  // "Q4_0", "random", "inverted"
  TypesByName types;
  Costs predicted = {};
  double loss = 0;  // measured on the second set
};

struct Additivity {
  std::vector<double> predicted, measured;  // of random mixes near the budget
  double spearman = 0, slope = 0;           // slope: measured by predicted, through zero
};

struct SetSize {
  std::string name;                            // "calibration"
  int64_t windows = 0, tokens = 0, total = 0;  // tokens: of each, of texts the mean
};

// What a report calls things, which depends on the kind of model.
struct Wording {
  bool encoder = false;
  std::string item = "window";      // of the sets
  std::string loss = "divergence";  // what is predicted of matrices and mixes
  std::string unit = "nats a token", axis = "KL divergence, nats a token";
  std::string first = "ppl";                                              // what an unnamed budget of loss is about
  std::string metric = "kld_mean";                                        // of a Quality: the same, measured
  std::vector<std::string> told = {"ppl_rise", "kld_mean", "same_top1"};  // metrics to tell first
};
std::string in_words(const Request& request, const Wording& wording);  // "512 tokens read and 128 written"

struct CompressReport {
  std::string model, architecture, sha256, text_name;
  Wording wording;
  std::vector<SetSize> sets;
  std::string evaluate_name, questions_name;
  int64_t verify_questions = 0, final_questions = 0;
  Request request;
  Budgets budgets;
  double level = 0.95;
  int threads = 0;  // that everything was timed with
  uint64_t base_bytes = 0;
  int64_t base_memory = 0;
  std::vector<MatrixLoss> matrices;
  std::optional<TimeTable> times;
  Times mix_gain = {1, 1};   // what of the gain that the table promises a whole mix was measured to have
  std::vector<KvOption> kv;  // the first: as the model is, where that is one of them
  std::vector<Allocation> front_time, front_size, front_memory;  // loss against seconds, bytes, memory
  std::vector<Reference> references;
  Additivity additivity;
  std::vector<Candidate> candidates;
  int chosen = -1;                                // of the candidates: the best that passes, else the nearest
  std::optional<measure::Quality> final_quality;  // of the chosen
  bool kept = false;                              // all budgets are shown to be kept, the losses on the fourth set too
  std::vector<std::string> misses;                // of the chosen, in the end
  std::vector<measure::LatencyReport> latency;    // over the lengths of inputs: of the base, of the chosen
  std::filesystem::path file;                     // of the chosen: model.gguf, or nearest.gguf
  std::string main_type;                          // the mix that it is named after: that of most weights
  double seconds = 0;                             // that the search took
};

// Writes `out`/model.gguf (nearest.gguf where no budget was kept), types.txt and calibration.txt. `model`: GGUF or a
// Hugging Face directory, a decoder or an encoder. Errors: invalid for texts that are too short and for budgets of
// another kind of model; those of its parts; cancelled: what was measured is kept for the next run.
Result<CompressReport> compress(const std::filesystem::path& model, const std::filesystem::path& out,
                                const CompressOptions& options);

}  // namespace miao::compress
