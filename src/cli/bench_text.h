// What miao bench prints for a reader: aligned tables and lines.
#pragma once

#include <string>

#include "measure/report.h"

namespace miao::cli {

std::string speed_table(const measure::BenchReport& report);  // of at least one row, and the limits below it
std::string kernel_table(const measure::BenchReport& report);
std::string profile_table(const measure::BenchRow& row);  // empty where no profile was taken
std::string latency_text(const measure::LatencyReport& latency);

}  // namespace miao::cli
