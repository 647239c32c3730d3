// Budgets: what a user is willing to lose, and whether that is shown to be kept.
//
// A budget is kept when the loss is shown to be below it: a test of non-inferiority, whose null hypothesis is that the
// loss is as large as the margin. "No significant difference" shows nothing but how little was measured.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace miao::measure {

struct Budget {
  std::string metric;        // a key of loss_metrics(); empty: the first that a task has
  double margin = 0;         // in the unit of the metric: 2 % is 0.02
  bool percent = false;      // it was written so
  std::string text() const;  // "ppl:2%"
};

// "ppl:2%", "ppl<=2%", "ppl=2%", "kld:0.02", or "1%" of what a task measures first. Errors (invalid) say what is
// expected.
Result<Budget> parse_budget(std::string_view text);
std::string loss_metrics();  // that miao measures, for help: "ppl (rise of perplexity), kld (...), ..."

std::string_view describe_metric(std::string_view metric);  // "rise of perplexity"; of a key of the list

// A loss that was measured: positive is worse.
struct Loss {
  std::string metric;
  double value = 0;
  std::optional<double> upper;  // one-sided bound at the level of the report; none where there is too little data
  int64_t units = 0;            // that were resampled or counted
  int64_t least = 0;            // units below which there is no bound
  std::string unit = {};        // "question"; empty: that of the measurement
  // It is a figure without a spread, which can only be judged by itself.
  bool lone = false;
  std::optional<double> whole = {};  // a margin in per cent is a share of this; none: the value is a share already

  // What has to be below a margin: where a bound is lacking, twice the value is feared.
  double feared() const { return lone ? value : upper.value_or(2 * value); }
};

enum class Outcome : uint8_t {
  passes,     // the bound is below the margin; of a lone figure, the value
  not_shown,  // the value is, the bound is not: more data may show it
  fails,      // the value itself is not
};
const char* name(Outcome outcome);  // "passes", "not shown", "fails"

struct Verdict {
  Budget budget;
  Loss loss;
  Outcome outcome = Outcome::fails;
  // Where it is not shown: how many more units would show it in four of five samples, if the loss is what it seems.
  int64_t more = 0;
};

Verdict judge(const Budget& budget, const Loss& loss, double level);

}  // namespace miao::measure
