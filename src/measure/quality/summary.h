// What summaries of all tasks need: metrics and losses of resampled units.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "measure/bootstrap.h"
#include "measure/quality.h"

namespace miao::measure {

// A metric that is a statistic of weighted units, with its bootstrap interval where there are units enough.
Metric resampled(const Quality& quality, std::string key, std::string label, const Bootstrap::Statistic& statistic,
                 Metric::Form form = Metric::Form::number, bool percentile = false);
// The same as a loss, with its bound.
Loss resampled_loss(const Quality& quality, std::string metric, const Bootstrap::Statistic& statistic);
// The same of a share of `n` things. Where none of them changed in the sample, resamples say nothing of those that
// would: the bound is at least that of no changes among n.
Loss resampled_share_loss(const Quality& quality, std::string metric, const Bootstrap::Statistic& statistic, int64_t n);

// How many values fall into each of some bins of equal width (of equal ratio where `log`), as bars.
Chart histogram(std::string title, std::string description, std::string x_label, std::span<const float> values,
                bool log);

}  // namespace miao::measure
