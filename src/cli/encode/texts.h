// miao run on encoders: what the model's head makes of one text or several.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cli/engine_flags.h"
#include "cli/verb.h"

namespace miao::cli {

struct EncodeOptions {
  std::string model;  // as the user called it
  std::vector<std::string> texts;
  bool truncate = false;
  std::string task;         // embed, classify, entities, answer or rerank; empty: by the flags and the model's head
  std::string aggregation;  // simple, first, average or max
  std::optional<std::string> question, query;
  bool explain = false;
  std::string explain_file;  // HTML; empty: standard output
  EngineFlags engine;
};

// Lines that hold something, without their ends.
std::vector<std::string> lines_of(std::string_view input);

Result<int> run_encoder(const EncodeOptions& o, const Common& common, const std::filesystem::path& path);

}  // namespace miao::cli
