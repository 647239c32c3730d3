// Forecast: how fast a model will be on this machine, before its weights are here.
//
//   headers -> hollow checkpoint -> some of the blocks, packed from zeros -> real passes, timed -> all blocks
//
// What is timed is the program that would run: its kernels on the model's own shapes and types, attention over as much
// context as the case has, norms, barriers, the output matrix. Only the number of blocks is less, so that a large model
// needs seconds and some hundred MiB: as many, evenly spread, as exceed the processor's caches, since weights that are
// still there from the last token would be read faster than those of the whole model. No speed depends on the values of
// weights.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/result.h"
#include "io/checkpoint.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"

namespace miao::measure {

// Of a decoder: `users` sequences read `prompt` tokens each and then write `gen`, side by side. Of an encoder: `users`
// inputs of `prompt` tokens go through it in one call.
struct ForecastCase {
  int64_t prompt = 512, gen = 128, users = 1;
};

struct ForecastOptions {
  bool prefill = true;      // of decoders; else steps alone
  double seconds = 0.4;     // of each thing that is timed, behind a first time that does not count
  int64_t least_bytes = 0;  // of the packed blocks that are run; 0 = by the caches
};

struct Forecast {
  double prefill_seconds = 0;  // until all prompts are read; of an encoder: the call
  double step_seconds = 0;     // a token for each user, in the middle of what is written; 0 for encoders
  int64_t blocks = 0;          // that were run
};
double prefill_rate(const Forecast& forecast, const ForecastCase& what);  // tokens a second of all users; 0 = none
double decode_rate(const Forecast& forecast, const ForecastCase& what);

// `model` may have data; it is not read. `options` as the model will be opened. Errors: those of opening it,
// out_of_memory where not even one block fits, unsupported for encoder-decoders, cancelled (options.cancel).
Result<Forecast> forecast(const io::Checkpoint& model, const runtime::EngineOptions& options, const ForecastCase& what,
                          const ForecastOptions& how = {});
Result<Forecast> forecast(const io::Checkpoint& model, const runtime::EncoderOptions& options, const ForecastCase& what,
                          const ForecastOptions& how = {});

}  // namespace miao::measure
