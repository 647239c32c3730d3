// What miao bench prints for a reader: aligned tables and lines.
#pragma once

#include <string>

#include "measure/report.h"

namespace miao::cli {

std::string speed_tables(const measure::BenchReport& report);  // with the limits that shares are of; empty without rows
std::string kernel_table(const measure::BenchReport& report);
std::string profile_tables(const measure::BenchReport& report);  // empty where no profile was taken
std::string latency_text(const measure::LatencyReport& latency);

}  // namespace miao::cli
