// The record of one evaluation and its forms: JSON and a page of HTML. A terminal table is the CLI's.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "measure/machine.h"
#include "measure/quality.h"
#include "runtime/encoder.h"
#include "runtime/engine.h"

namespace miao::measure {

// A model as it was measured: the file, and the numeric path that its answers came by.
struct Subject {
  std::string model, family;   // as the user named it; "llama"
  std::string sha256;          // of its file; empty where it is a folder
  std::string isa, dtype, kv;  // "avx512", "auto", "F16"; no kv where it has none
  int64_t weights = 0;         // bytes
  std::vector<runtime::KernelReport> kernels;
};

Subject subject_of(const std::string& name, const std::string& dtype, const runtime::Engine& engine);
Subject subject_of(const std::string& name, const std::string& dtype, const runtime::Encoder& encoder);

struct DataFile {
  std::string name, sha256;
  int64_t bytes = 0;
};

struct QualityReport {
  std::string version, date;
  std::string command;  // that gives this report again
  Subject model;
  std::optional<Subject> base;
  DataFile data;
  Machine machine;
  double seconds = 0;  // of the measurement, without loading
  Quality quality;
};

// "the rise of perplexity is 1.02 %, and with 95 % confidence below 1.43 %: passes" and what would help.
std::string sentence(const Quality& quality, const Verdict& verdict);

constexpr int kQualitySchema = 1;  // of the JSON; fields may come without a new number
// The metrics stand in the object itself, each by its key; their intervals in "intervals".
nlohmann::ordered_json to_json(const QualityReport& report);
std::string to_html(const QualityReport& report);  // self-contained

}  // namespace miao::measure
