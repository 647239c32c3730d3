// Intervals of shares, and of the difference of two shares of the same items. `level` is that of a two-sided interval;
// a one-sided bound at level L is an end of the interval at one_sided(L).
#pragma once

#include <cstdint>
#include <span>

#include "measure/stats.h"

namespace miao::measure {

constexpr double one_sided(double level) { return 2 * level - 1; }

// Wilson's score interval of `hits` in `n` (JASA 22, 1927); 0 <= hits <= n, 1 <= n.
Interval wilson(int64_t hits, int64_t n, double level);
// Clopper and Pearson's exact interval (Biometrika 26, 1934): it covers at least as often as it says. Real numbers, for
// effective sizes.
Interval clopper_pearson(double hits, double n, double level);

// The share of hits among items that stand in clusters: tokens in chunks of a text, which are more alike than others.
// Korn and Graubard's interval (Survey Methodology 24, 1998): Clopper and Pearson's over as many independent items as
// would spread so, but no more than there are. hits[i] of sizes[i], two clusters at least.
struct Share {
  double value = 0;
  double effective = 0;  // independent items that would tell as much
  double hits = 0, n = 0;
  double shrink = 1;  // for the uncertainty of `effective` itself
  Interval interval(double level) const;
  int64_t clusters = 0;
};
Share clustered_share(std::span<const int64_t> hits, std::span<const int64_t> sizes);

// Two answers to each of n items; `gained` items are right in the second alone, `lost` in the first alone.
struct Discordant {
  int64_t gained = 0, lost = 0, n = 0;
};
// McNemar's exact test: how probable so uneven a split of the discordant items is where neither is better; two-sided.
double mcnemar(const Discordant& d);
// (gained - lost) / n with Tango's score interval (Statistics in Medicine 17, 1998).
double paired_difference(const Discordant& d);
Interval paired_difference(const Discordant& d, double level);

}  // namespace miao::measure
