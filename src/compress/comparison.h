// Searches side by side, from the report.json that each of them wrote: neither models nor texts nor their machine are
// needed.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "measure/quality.h"

namespace miao::compress {

// What a search came to.
struct Finding {
  struct Figures {
    double bytes = 0, memory = 0;             // of the file, of the running model
    double first = 0, step = 0, request = 0;  // seconds, medians; 0 where a request has none of it
  };
  struct Trial {
    std::string name;
    double bytes = 0, speed = 0;  // speed: of a request, in times of the base's
    measure::Metric loss;         // on the verification text
    bool kept = false;
  };

  std::filesystem::path file;  // the report.json
  std::string name;            // its folder's, which tells it from the others
  std::string model, architecture, sha256, text, machine, date, command;
  std::string request, sets;  // JSON: what a request is, which sets of text there were
  std::string axis;           // "KL divergence, nats a token": what `loss` is
  std::string unit;           // "chunks", of the final figures
  bool kept = false;
  std::vector<std::string> budgets, misses;  // in words, losses first
  double level = 0.95, seconds = 0;          // seconds: that the search took
  int threads = 0;
  Figures base, own;
  double speed = 0, speed_low = 0;                     // in times of the base's; bound with `level`
  std::string kv;                                      // type of keys and values; empty of encoders
  std::vector<std::pair<std::string, int64_t>> types;  // of matrices, with their number; the most frequent first
  measure::Metric loss;                                // on the final text
  std::vector<measure::Metric> told;                   // what a reader asks for first, likewise
  std::vector<Trial> trials;
  std::vector<std::pair<double, double>> front;  // bytes and loss as predicted, convex
  int better = -1;  // another finding that loses, takes and waits no more, and in one of these less; -1 = none
};

struct Comparison {
  std::vector<Finding> findings;
  std::vector<std::string> differences;  // why figures of some must not be held against each other, in words
};

// `paths`: folders that compress() wrote, or their report.json. Errors: io; corrupt, with the place, for JSON of
// another kind.
Result<Comparison> compare_searches(std::span<const std::filesystem::path> paths);

constexpr int kComparisonSchema = 1;
nlohmann::ordered_json to_json(const Comparison& comparison);
// One page, self-contained.
std::string to_html(const Comparison& comparison, const std::string& version, const std::string& date);

}  // namespace miao::compress
