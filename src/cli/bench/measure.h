// What miao bench measures of a model, by the kind of engine that runs it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "cli/engine_flags.h"
#include "cli/model.h"
#include "cli/verb.h"
#include "measure/report.h"

namespace miao::cli {

struct BenchFlags {
  ModelArgument model;
  std::vector<int64_t> prompts, gens, batches, depths, beams;  // empty = what suits the model
  std::vector<int> threads;
  int reps = 5, samples = 100;
  uint64_t seed = 1;
  bool profile = false, markdown = false, kernels = false;
  std::string lengths, texts, html, isa;
  EngineFlags engine;
};

// They add to a report that says what and when. Errors: those of the model, the measurements, the files of the flags.
Result<void> measure_decoder(const BenchFlags& o, const Common& common, const std::filesystem::path& path,
                             measure::BenchReport& report);
Result<void> measure_encoder(const BenchFlags& o, const Common& common, const std::filesystem::path& path,
                             measure::BenchReport& report);
Result<void> measure_seq2seq(const BenchFlags& o, const Common& common, const std::filesystem::path& path,
                             measure::BenchReport& report);

// What the flags leave open.
template <class T>
std::vector<T> or_default(const std::vector<T>& given, std::vector<T> otherwise) {
  return given.empty() ? std::move(otherwise) : given;
}
measure::BenchOptions bench_options(const BenchFlags& o);
Result<measure::Workload> workload_of(const BenchFlags& o, const std::vector<int64_t>& batches,
                                      const Result<const prep::Tokenizer*>& tokenizer, int64_t ctx);
// While it lives, a line at the terminal says what is being measured.
class Doing {
 public:
  Doing(const Common& common, const std::string& what);
  ~Doing();
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  bool shown_;
};

}  // namespace miao::cli
