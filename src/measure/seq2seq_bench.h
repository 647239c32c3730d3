// Benches of an encoder-decoder of text: how long it reads `batch` inputs of random ids, and how long a beam search
// takes to find one answer to each. No token ends an answer, so that all have exactly `gen` tokens whatever the weights
// say: the work is the same for any model of that shape and for any engine that is held to a length.
//   encode    Engine::encode of all inputs, with what every block of the decoder asks of them
//   search    beam_search from the model's start token: all steps, with the choice of their tokens
// Rules of a model's generation_config.json (forced or forbidden tokens) are left out. A repetition is one of each.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "measure/bench.h"
#include "measure/stats.h"
#include "runtime/engine.h"

namespace miao::measure {

struct Seq2SeqCase {
  int64_t prompt = 32;  // tokens of each input
  int64_t gen = 32;     // tokens of each answer
  int64_t batch = 1;    // inputs
  int64_t beams = 1;    // of each input
};

struct Seq2SeqRow {
  Seq2SeqCase what;
  int threads = 1;
  std::vector<double> encode_seconds, search_seconds;   // per repetition
  Spread encode_tok_s;                                  // tokens of the inputs a second of encoding
  Spread written_tok_s;                                 // tokens of the answers, not of all beams, a second of search
  double latency_p50_ms = 0, latency_p90_ms = 0;        // from the inputs to all answers
  int64_t peak_rss = 0;                                 // bytes, of the process so far
  std::vector<std::pair<std::string, double>> profile;  // seconds by kind of step, both parts together

  double written() const;  // tokens of the answers of all repetitions
};

std::string search_name(const Seq2SeqCase& what);  // "32 to 32 tokens, beam 4"
std::string name_of(const Seq2SeqRow& row);        // "32 to 32 tokens, beam 4, batch 16"

// A warm-up comes first. Errors: invalid where an input or an answer is too long; those of the model's start token, of
// Engine::encode and of beam_search; out_of_memory, cancelled.
Result<Seq2SeqRow> bench_seq2seq(runtime::Engine& engine, const Seq2SeqCase& what, const BenchOptions& options);

}  // namespace miao::measure
