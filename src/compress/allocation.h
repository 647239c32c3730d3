// Which type each matrix gets, as arithmetic: items with options, each of which costs some loss, time and bytes, and
// budgets on the sums. A multiple-choice knapsack; compress/search.h fills it with what was measured.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace miao::compress {

// kSeconds: of a request; kFirst: before its first token; kStep: of each later one.
// kBytes: of the file; kMemory: of the running model.
enum Quantity : uint8_t { kLoss, kSeconds, kFirst, kBytes, kStep, kMemory };
constexpr size_t kQuantities = 6;
using Costs = std::array<double, kQuantities>;
using CostLimits = std::array<std::optional<double>, kQuantities>;

struct Problem {
  std::vector<std::vector<Costs>> items;  // options of each item, one at least
  Costs fixed = {};                       // what does not depend on choices
};

struct Allocation {
  std::vector<size_t> choice;  // of each item
  Costs total = {};
  bool feasible = false;  // all limits hold; else it is the nearest that was found
  // No allocation within the limits has less of the goal than this: the best value of the Lagrangian's dual (Everett
  // 1963), so total[goal] - bound is what the answer may be off the optimum.
  double bound = 0;
};

Costs total(const Problem& problem, const std::vector<size_t>& choice);

// The least sum of `goal` with all sums within their limits. Multipliers by bisection, then moves of one and two items.
Allocation solve(const Problem& problem, Quantity goal, const CostLimits& limits);

// All allocations that are best for some exchange rate of `a` against `b`, from the least of a to the least of b: the
// lower convex hull of what can be had.
std::vector<Allocation> front(const Problem& problem, Quantity a, Quantity b);

}  // namespace miao::compress
