// w + share w D H^-1, 16 rows side by side. With H = L^T L and t = w D:
//
//   u L = t        from the last column to the first
//   z L^T = u      from the first to the last;  z = t H^-1
#include <algorithm>
#include <atomic>

#include "compress/gptq/gram.h"
#include "compress/gptq/stripe.h"

namespace miao::compress {

namespace {

// z: t in the sweep's order; becomes t H^-1.
void solve(const Feedback& feedback, Lanes* z) {
  const int64_t n = feedback.cols;
  for (int64_t k = n - 1; k >= 0; --k) {
    const float* const l = feedback.l.data() + k * n;
    for (float& value : z[k]) value /= l[k];
    subtract_product(l, n, 1, z + k, k, z);
  }
  for (int64_t k = 0; k < n; ++k) {
    const float* const l = feedback.l.data() + k * n;
    subtract_product(l, 1, k, z, 1, z + k);
    for (float& value : z[k]) value /= l[k];
  }
}

}  // namespace

void aim(Stripe& s, float share, const graph::Context& context) {
  const int64_t n = s.cols();
  std::vector<float> back(s.feedback.drift.size()), t(s.w.size());  // D on its side, as products take it
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) back[s.at(j, i)] = s.feedback.drift[s.at(i, j)];
  }
  add_product(context, s.w.data(), n, s.rows, back.data(), n, n, n, t.data(), n);
  std::atomic<int64_t> next = 0;
  context.pool.run([&](Worker& worker) {
    std::vector<float> memory(static_cast<size_t>(n * kGptqLanes));
    auto* const z = reinterpret_cast<Lanes*>(memory.data());
    for (int64_t row; (row = worker.next(next) * kGptqLanes) < s.rows;) {
      const int64_t count = std::min(kGptqLanes, s.rows - row);
      for (int64_t k = 0; k < n; ++k) {
        const int64_t col = s.feedback.order[static_cast<size_t>(k)];
        for (int64_t lane = 0; lane < count; ++lane) z[k][lane] = t[s.at(row + lane, col)];
      }
      solve(s.feedback, z);
      for (int64_t k = 0; k < n; ++k) {
        const int64_t col = s.feedback.order[static_cast<size_t>(k)];
        for (int64_t lane = 0; lane < count; ++lane) s.w[s.at(row + lane, col)] += share * z[k][lane];
      }
    }
  });
}

}  // namespace miao::compress
