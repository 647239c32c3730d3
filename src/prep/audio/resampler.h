// Resampler: a stream of samples at one rate to kAudioRate, with soxr at the quality that it calls HQ (20 bits; the
// band up to 91% of the lower rate's half is kept). The filter's delay is taken off: sample 0 stays at time 0.
#pragma once

#include <soxr.h>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"

namespace miao::prep {

class Resampler {
 public:
  static Result<Resampler> create(int rate);

  // Appends what is ready to `out`; after finish(), which appends the rest, nothing may follow.
  Result<void> push(std::span<const float> in, std::vector<float>& out);
  Result<void> finish(std::vector<float>& out);

 private:
  struct Delete {
    void operator()(soxr* s) const { soxr_delete(s); }
  };
  explicit Resampler(soxr_t soxr) : soxr_(soxr) {}

  std::unique_ptr<soxr, Delete> soxr_;  // null: the rate is kAudioRate already
};

}  // namespace miao::prep
