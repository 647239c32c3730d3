// Plan: what a model would need and how fast it would be on this machine, from its headers: as it is, and in other
// types.
//
//   memory   what the engine itself says (Engine::memory()) of a model whose weights are not read, and the program
//   speed    measure/forecast.h
//   types    plan_types(): the types and bytes that quantize() would give
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "compress/recipe.h"
#include "io/checkpoint.h"
#include "measure/forecast.h"
#include "models/spec.h"
#include "runtime/engine.h"

namespace miao::compress {

struct PlanOptions {
  runtime::EngineOptions engine;  // threads, compute, kv, ctx, chunk, cancel: as it will be opened
  int64_t users = 1;
  std::optional<int64_t> prompt, gen;  // tokens; none = 512 and 128, or what the context allows (encoders: 128)
  measure::ForecastOptions timing;
  std::optional<Recipe> type;       // what it would be after quantize(); none = as it is
  std::vector<std::string> others;  // mixes to put beside it
  bool speed = true;                // measured, which takes about a second a type
  std::optional<uint64_t> free;     // bytes of memory to plan for; none = what this machine or container has
  std::function<void(std::string_view what)> progress;  // what is being measured
};

// Bytes at the peak, where all positions are in use.
struct PlanMemory {
  int64_t weights = 0;    // packed
  int64_t embedding = 0;  // pages of the file's table: encoders keep them, decoders give them back after each piece
  int64_t buffers = 0;    // activations, scratch, logits
  int64_t kv = 0;         // keys and values of all users
  int64_t program = 0;    // code and tokenizer
  int64_t loading = 0;    // pages of the file that is being packed, before there are texts
  int64_t peak() const;   // INT64_MAX where it is too large to count
};

struct PlanRow {
  std::string type;    // of the mix; empty = as the file is
  uint64_t bytes = 0;  // of all tensors in the file
  double bits = 0;     // a parameter
  PlanMemory memory;
  bool fits = false;
  std::optional<measure::Forecast> speed;
  std::string problem;  // why there is no speed, or (bytes 0) no such file
};

struct TypeBytes {
  std::string type;
  int64_t tensors = 0, parameters = 0;
  uint64_t bytes = 0;
};

struct Plan {
  models::ModelSpec::Shape shape = models::ModelSpec::Shape::decoder;
  std::string architecture, name;
  int64_t parameters = 0, layers = 0, width = 0, vocab = 0, model_ctx = 0;
  std::vector<TypeBytes> types;  // the most bytes first
  bool quantised = false;        // other types would be made from weights that have lost something already
  measure::ForecastCase use;
  int64_t ctx = 0;        // positions of a sequence, or tokens of an input
  int64_t input_ctx = 0;  // of encoder-decoders: of what is read
  int64_t kv_per_token = 0;
  std::string kv;  // their type; empty for encoders
  std::string isa;
  int threads = 1;
  uint64_t free = 0, total = 0;  // memory; total 0 = not known
  PlanRow model;
  std::vector<PlanRow> others;
  // Of the model: as many users of ctx positions would fit, and so many positions for the users that were asked for.
  // 0 = none; unset for encoders, whose inputs leave nothing behind.
  std::optional<int64_t> most_users, most_ctx;
};

// Errors: those of opening the model, of a mix that it cannot have (options.type), invalid for a use that the context
// does not hold, cancelled.
Result<Plan> make_plan(const io::Checkpoint& model, const PlanOptions& options);

}  // namespace miao::compress
