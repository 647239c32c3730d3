#include "runtime/likelihood.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "base/check.h"

namespace miao::runtime {

namespace {

// log(sum(exp(row))), summed in double in the order of the vocabulary.
double log_sum(std::span<const float> row) {
  const double largest = double{*std::max_element(row.begin(), row.end())};
  double sum = 0;
  for (const float logit : row) sum += std::exp(double{logit} - largest);
  return largest + std::log(sum);
}

TokenLikelihood rate(std::span<const float> row, int32_t id, int64_t best, std::vector<int32_t>& order) {
  const double all = log_sum(row);
  const auto choice = [&](int32_t token) {
    return TokenLikelihood::Choice{token, static_cast<float>(double{row[static_cast<size_t>(token)]} - all)};
  };
  TokenLikelihood out{choice(id), 0, {}};
  const float own = row[static_cast<size_t>(id)];
  out.rank = std::count_if(row.begin(), row.end(), [&](float logit) { return logit > own; });
  if (best <= 0) return out;
  order.resize(row.size());
  std::iota(order.begin(), order.end(), 0);
  const auto count = static_cast<ptrdiff_t>(std::min<int64_t>(best, static_cast<int64_t>(row.size())));
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int32_t a, int32_t b) {
    const float x = row[static_cast<size_t>(a)], y = row[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  });
  for (ptrdiff_t i = 0; i < count; ++i) out.best.push_back(choice(order[static_cast<size_t>(i)]));
  return out;
}

}  // namespace

Result<std::vector<TokenLikelihood>> likelihoods(Engine& engine, std::span<const int32_t> ids, int64_t first,
                                                 int64_t best, const Sequence* memory,
                                                 const std::atomic<bool>* cancel) {
  MIAO_CHECK(first >= 1);
  for (const int32_t id : ids) {  // the last one does not go through the model
    if (id < 0 || id >= engine.vocab()) {
      return Error{Code::invalid,
                   "token " + std::to_string(id) + " is not within the vocabulary of " +
                       std::to_string(engine.vocab()) + " tokens",
                   "ids"};
    }
  }
  const auto count = static_cast<int64_t>(ids.size());
  std::vector<TokenLikelihood> out(static_cast<size_t>(std::max<int64_t>(0, count - first)));
  if (out.empty()) return out;
  std::vector<std::vector<int32_t>> orders(static_cast<size_t>(engine.pool().threads()));
  Sequence sequence = engine.new_sequence();
  // Row i of the logits is about token i + 1.
  const auto sink = [&](int64_t row, const Logits& logits) -> Result<void> {
    engine.pool().run([&](Worker& worker) {
      const Range rows = worker.split(logits.rows());
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        const int64_t at = row + i + 1;
        if (at < first) continue;
        out[static_cast<size_t>(at - first)] =
            rate(logits.row(i), ids[static_cast<size_t>(at)], best, orders[static_cast<size_t>(worker.index)]);
      }
    });
    return {};
  };
  MIAO_CHECK_OK(engine.forward_all(sequence, ids.first(ids.size() - 1), sink, cancel, memory));
  return out;
}

}  // namespace miao::runtime
