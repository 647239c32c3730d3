// Figures of the HTML page of a search, each with its table. Empty where the report has nothing of them.
#pragma once

#include <string>

#include "compress/compress.h"

namespace miao::compress {

// Loss over time and over size: what predictions say can be had, what others take, and what was built.
std::string front_figures(const CompressReport& report);
std::string heat_figure(const CompressReport& report);
// Latency of inputs over their length, of base and result.
std::string latency_figure(const CompressReport& report);
// Predicted beside measured: losses of random mixes, times of candidates.
std::string loss_check_figure(const CompressReport& report);
std::string time_check_figure(const CompressReport& report);

}  // namespace miao::compress
