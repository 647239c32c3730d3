// Flags of every verb that runs a model: threads, context, number formats. And the way from what a user calls a model
// to a loaded Engine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/model.h"
#include "cli/verb.h"
#include "runtime/engine.h"

namespace miao::cli {

struct EngineFlags {
  int threads = 0;
  int64_t ctx = 0;
  std::string dtype = "auto";  // a name of dtype_names()
  std::string kv;              // a name that kv_names() takes; empty = as the engine chooses
  int chunk = 256;

  runtime::EngineOptions options() const;
};

std::vector<std::string> dtype_names();
std::vector<std::string> kv_names();  // in lower case

// `threads` false leaves -t out, for verbs with a flag of their own.
void add_engine_flags(CLI::App& app, EngineFlags& flags, bool threads = true);

// Finds the model (and downloads it when it has to) and loads it.
Result<std::unique_ptr<runtime::Engine>> open_engine(const std::filesystem::path& path,
                                                     const runtime::EngineOptions& options);
Result<std::unique_ptr<runtime::Engine>> open_engine(const ModelArgument& model, const runtime::EngineOptions& options,
                                                     const Common& common);

}  // namespace miao::cli
