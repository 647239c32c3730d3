// Loaded: what every kind of engine stands on: an open checkpoint, threads, kernels, the model and its tokenizer.
#pragma once

#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/thread_pool.h"
#include "graph/context.h"
#include "io/checkpoint.h"
#include "kernels/kernels.h"
#include "models/model.h"
#include "prep/tokenizer.h"
#include "runtime/engine.h"

namespace miao::runtime {

// Members are in the order they are made: later ones refer to earlier ones.
struct Loaded {
  // `threads` 0 = what the machine allows; `isa` empty = MIAO_ISA, else the best. `shape`: what the caller runs; a
  // model of another shape is an Error that says what does run it.
  static Result<std::unique_ptr<Loaded>> open(const std::filesystem::path& path, int threads, const std::string& isa,
                                              const models::LoadOptions& options, models::ModelSpec::Shape shape);
  static Result<std::unique_ptr<Loaded>> open(io::Checkpoint checkpoint, int threads, const std::string& isa,
                                              const models::LoadOptions& options, models::ModelSpec::Shape shape);

  Loaded(io::Checkpoint file, const kernels::Kernels& table, std::unique_ptr<ThreadPool> workers)
      : checkpoint(std::move(file)), pool(std::move(workers)), context{table, *pool} {}
  ~Loaded() {  // all answers have been given: now a write costs nobody time. Not on the way out of a failure
    if (model && std::uncaught_exceptions() == 0) model->keep_packed();
  }
  Loaded(const Loaded&) = delete;
  Loaded& operator=(const Loaded&) = delete;

  std::vector<graph::Program*> programs() const;  // an encoder's first
  std::vector<KernelReport> kernels() const;
  MemoryReport memory() const;  // without what a kind of engine adds

  io::Checkpoint checkpoint;
  std::unique_ptr<ThreadPool> pool;
  graph::Context context;
  std::unique_ptr<models::Model> model;
  std::optional<Result<prep::Tokenizer>> tokenizer;
};

}  // namespace miao::runtime
