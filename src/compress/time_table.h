// How long each kind of product takes in each type on this machine, for a workload: measured in the running model, with
// its own shapes, threads and cold weights, by giving all matrices one type after the other. A mix of types then takes
//
//   rest + sum over matrices of time(kind, type) * (its share of the kind's weights)
//
// where the rest (attention, norms, rotation) does not depend on types.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "measure/bench.h"
#include "runtime/blockwise.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"
#include "tensor/dtype.h"

namespace miao::compress {

// A request: `prompt` tokens are read and `gen` written, for each of `batch` sequences side by side. An encoder writes
// none and reads `batch` texts at once.
struct Request {
  int64_t prompt = 512, gen = 128, batch = 1;
  std::vector<int64_t> lengths;  // of an encoder: tokens of the texts that stand for all; prompt is their mean

  int64_t ctx() const { return prompt + gen; }
  // What to bench for the time to the first token, and for that of one step in the middle of the answer.
  measure::BenchCase prefill() const { return {.prompt = prompt, .gen = 0, .batch = batch}; }
  measure::BenchCase decode(int64_t steps) const {
    return {.prompt = 0, .gen = steps, .batch = batch, .depth = prompt + (gen - steps) / 2};
  }
};

struct Times {
  double first = 0;  // seconds to read the prompt, up to the logits of the first token; of an encoder all of it
  double step = 0;   // of each token after it
  double request(const Request& r) const { return first + static_cast<double>(r.gen) * step; }
};

// Runs a part of a request some times. A profile says the seconds of each kind of step.
enum class Phase : uint8_t { first, step };
struct Timing {
  std::vector<double> seconds;  // of each time
  double profiled = 0;          // of all that the profile saw
  std::vector<std::pair<std::string, double>> profile;
};
struct Clock {
  bool reads = true, writes = true;  // the phases that a request has
  std::function<Result<Timing>(Phase phase, uint64_t seed, int times, bool profile)> run;
  Result<Times> once(uint64_t seed) const;
};
Clock clock_of(runtime::Engine& engine, const Request& request, const std::atomic<bool>* cancel);
Clock clock_of(runtime::Encoder& encoder, const Request& request, const std::atomic<bool>* cancel);

class TimeTable {
 public:
  struct Kind {
    std::string name;              // "qkv"
    double weights = 0;            // of all its matrices
    std::map<DType, Times> types;  // all of them in one type; those that were measured
  };

  Times rest() const { return rest_; }
  const std::vector<Kind>& kinds() const { return kinds_; }
  bool knows(std::string_view tensor, DType type) const;
  Times of(std::string_view tensor, DType type) const;  // that knows() has

  struct Data {  // what a store keeps
    Times rest;
    std::vector<Kind> kinds;
    std::map<std::string, std::pair<std::string, double>, std::less<>> tensors;  // name -> kind, weights
  };
  explicit TimeTable(Data data);
  Data data() const { return {rest_, kinds_, tensors_}; }

 private:
  const Kind* kind(std::string_view tensor) const;

  Times rest_;
  std::vector<Kind> kinds_;
  std::map<std::string, std::pair<std::string, double>, std::less<>> tensors_;
};

struct TimeOptions {
  int rounds = 5;
  std::function<void(std::string_view what, int64_t done, int64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

// Types as the model has them, and each of `types` where it fits. `clock` is the model's. Errors: its, and those of
// round_tensor().
Result<TimeTable> measure_times(runtime::Blockwise& model, const Clock& clock, std::span<const DType> types,
                                const TimeOptions& options);

}  // namespace miao::compress
