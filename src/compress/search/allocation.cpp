// Lagrange multipliers by bisection, each the exchange rate of a limited quantity against the goal; then moves of
// single matrices and of pairs, which use what the multipliers leave over.
#include "compress/allocation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace miao::compress {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

class Solver {
 public:
  Solver(const Problem& problem, Quantity goal, const CostLimits& limits)
      : p_(problem), goal_(goal), limits_(limits), lambda_{} {
    best_.bound = -kInfinity;
    for (size_t k = 0; k < kQuantities; ++k) {
      double least = 0, most = 0;
      for (const auto& options : p_.items) {
        const auto [low, high] = std::ranges::minmax(options, {}, [k](const Costs& c) { return c[k]; });
        least += low[k];
        most += high[k];
      }
      span_[k] = most > least ? most - least : 1;
      if (k != goal_ && limits_[k]) limited_.push_back(static_cast<Quantity>(k));
    }
  }

  Allocation run() {
    price();
    // The share of one quantity falls as its own multiplier grows; with several they take turns.
    for (int round = 0; round < (limited_.size() > 1 ? 12 : 1); ++round) {
      for (const Quantity k : limited_) bisect(k);
    }
    improve();
    if (!best_.feasible && limited_.size() > 1) start_elsewhere();
    return std::move(best_);
  }

 private:
  // The cheapest choice at the multipliers; returns its costs.
  Costs price() {
    std::vector<size_t> choice(p_.items.size());
    double dual = p_.fixed[goal_];
    for (size_t i = 0; i < p_.items.size(); ++i) {
      double least = kInfinity;
      for (size_t o = 0; o < p_.items[i].size(); ++o) {
        double price = p_.items[i][o][goal_];
        for (const Quantity k : limited_) price += lambda_[k] * p_.items[i][o][k];
        if (price < least) {
          least = price;
          choice[i] = o;
        }
      }
      dual += least;
    }
    for (const Quantity k : limited_) dual += lambda_[k] * (p_.fixed[k] - *limits_[k]);
    best_.bound = std::max(best_.bound, dual);
    const Costs sum = total(p_, choice);
    offer(std::move(choice), sum);
    return sum;
  }

  double excess(const Costs& sum) const {
    double out = 0;
    for (size_t k = 0; k < kQuantities; ++k) {
      if (limits_[k]) out = std::max(out, (sum[k] - *limits_[k]) / span_[k]);
    }
    return out;
  }

  bool better(const Costs& sum) const {
    const double over = excess(sum);
    return over > 0 ? over < over_ : over_ > 0 || sum[goal_] < best_.total[goal_];
  }

  void offer(std::vector<size_t> choice, const Costs& sum) {
    if (!better(sum)) return;
    const double over = over_ = excess(sum);
    best_.choice = std::move(choice);
    best_.total = sum;
    best_.feasible = over <= 0;
  }

  void bisect(Quantity k) {
    const double unit = span_[goal_] / span_[k];
    double low = 0, high = unit * 1e-6;
    lambda_[k] = 0;
    if (price()[k] <= *limits_[k]) return;
    for (;; high *= 8) {
      lambda_[k] = high;
      if (price()[k] <= *limits_[k] || high > unit * 1e9) break;
      low = high;
    }
    for (int step = 0; step < 50; ++step) {
      lambda_[k] = low > 0 ? std::sqrt(low * high) : high / 2;
      (price()[k] <= *limits_[k] ? high : low) = lambda_[k];
    }
    lambda_[k] = high;
    price();
  }

  static Costs moved(Costs sum, const Costs& from, const Costs& to) {
    for (size_t k = 0; k < kQuantities; ++k) sum[k] += to[k] - from[k];
    return sum;
  }

  // From what has the least of each limited quantity, within the other limits.
  void start_elsewhere() {
    for (const Quantity k : limited_) {
      CostLimits others = limits_;
      others[k].reset();
      const Allocation least = Solver(p_, k, others).run();
      offer(least.choice, least.total);
    }
    improve();
  }

  // Uses what the multipliers left over, or makes up for what they lacked (no multipliers need lead to a choice within
  // several limits that exists): the best change of one item, or of two where there is none, again and again.
  void improve() {
    size_t options = 0;
    for (const auto& item : p_.items) options += item.size();
    const bool pairs = options <= 4000;
    for (int round = 0; round < 200; ++round) {
      const double goal = best_.total[goal_], over = over_;
      step(pairs && round < 40);
      if (over_ >= over && best_.total[goal_] >= goal - 1e-12 * span_[goal_]) return;
    }
  }

  void step(bool pairs) {
    const std::vector<size_t> choice = best_.choice;
    const Costs now = best_.total;
    struct Move {
      size_t item, option;
      Costs sum;
    };
    std::vector<Move> moves;
    for (size_t i = 0; i < choice.size(); ++i) {
      for (size_t o = 0; o < p_.items[i].size(); ++o) {
        if (o != choice[i]) moves.push_back({i, o, moved(now, p_.items[i][choice[i]], p_.items[i][o])});
      }
    }
    const auto take = [&](const Move& a, const Move* b, const Costs& sum) {
      if (!better(sum)) return;
      std::vector<size_t> next = choice;
      next[a.item] = a.option;
      if (b) next[b->item] = b->option;
      const Costs exact = total(p_, next);  // sums of differences drift
      offer(std::move(next), exact);
    };
    for (const Move& a : moves) take(a, nullptr, a.sum);
    if (!pairs || best_.choice != choice) return;
    for (size_t a = 0; a < moves.size(); ++a) {
      for (size_t b = a + 1; b < moves.size(); ++b) {
        if (moves[a].item == moves[b].item) continue;
        const size_t i = moves[b].item;
        take(moves[a], &moves[b], moved(moves[a].sum, p_.items[i][choice[i]], p_.items[i][moves[b].option]));
      }
    }
  }

  const Problem& p_;
  Quantity goal_;
  CostLimits limits_;
  Costs lambda_, span_{};
  std::vector<Quantity> limited_;
  Allocation best_;
  double over_ = kInfinity;
};

}  // namespace

Costs total(const Problem& problem, const std::vector<size_t>& choice) {
  MIAO_CHECK(choice.size() == problem.items.size());
  Costs out = problem.fixed;
  for (size_t i = 0; i < choice.size(); ++i) {
    for (size_t k = 0; k < kQuantities; ++k) out[k] += problem.items[i][choice[i]][k];
  }
  return out;
}

Allocation solve(const Problem& problem, Quantity goal, const CostLimits& limits) {
  return Solver(problem, goal, limits).run();
}

std::vector<Allocation> front(const Problem& problem, Quantity a, Quantity b) {
  struct Segment {
    double slope;  // of a, for each of b that it saves
    size_t item, option;
  };
  std::vector<Segment> segments;
  Allocation at;
  at.feasible = true;
  for (size_t i = 0; i < problem.items.size(); ++i) {
    const auto& options = problem.items[i];
    const auto below = [&](size_t x, size_t y) {
      return options[x][a] != options[y][a] ? options[x][a] < options[y][a] : options[x][b] < options[y][b];
    };
    size_t now = 0;
    for (size_t o = 1; o < options.size(); ++o) now = below(o, now) ? o : now;
    at.choice.push_back(now);
    for (double slope = 0;;) {
      size_t next = now;
      double least = kInfinity;
      for (size_t o = 0; o < options.size(); ++o) {
        if (options[o][b] >= options[now][b]) continue;
        const double s = (options[o][a] - options[now][a]) / (options[now][b] - options[o][b]);
        if (s < least || (s == least && options[o][b] < options[next][b])) {
          least = s;
          next = o;
        }
      }
      if (next == now) break;
      slope = std::max(slope, least);
      segments.push_back({slope, i, next});
      now = next;
    }
  }
  std::ranges::stable_sort(segments, {}, &Segment::slope);
  at.total = total(problem, at.choice);
  at.bound = at.total[a];
  std::vector<Allocation> out{at};
  for (const Segment& s : segments) {
    at.choice[s.item] = s.option;
    at.total = total(problem, at.choice);
    at.bound = at.total[a];
    out.push_back(at);
  }
  return out;
}

}  // namespace miao::compress
