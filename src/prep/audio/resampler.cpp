#include "prep/audio/resampler.h"

#include "prep/audio.h"

namespace miao::prep {

namespace {

constexpr size_t kBlock = 4096;

Error failed(const char* reason) { return {Code::out_of_memory, std::string("cannot be resampled: ") + reason, {}}; }

}  // namespace

Result<Resampler> Resampler::create(int rate) {
  if (rate == kAudioRate) return Resampler(nullptr);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  soxr_error_t error = nullptr;
  // No other specs: float32 in and out, one thread.
  soxr_t made = soxr_create(rate, kAudioRate, /*num_channels=*/1, &error, nullptr, &quality, nullptr);
  if (error || !made) return failed(soxr_strerror(error));
  return Resampler(made);
}

Result<void> Resampler::push(std::span<const float> in, std::vector<float>& out) {
  if (!soxr_) {
    out.insert(out.end(), in.begin(), in.end());
    return {};
  }
  float block[kBlock];
  for (;;) {
    size_t taken = 0, made = 0;
    if (const auto error = soxr_process(soxr_.get(), in.data(), in.size(), &taken, block, kBlock, &made)) {
      return failed(soxr_strerror(error));
    }
    out.insert(out.end(), block, block + made);
    in = in.subspan(taken);
    if (in.empty() && made < kBlock) return {};
    if (taken == 0 && made == 0) return failed("soxr makes no progress");
  }
}

Result<void> Resampler::finish(std::vector<float>& out) {
  if (!soxr_) return {};
  float block[kBlock];
  for (;;) {
    size_t made = 0;
    if (const auto error = soxr_process(soxr_.get(), nullptr, 0, nullptr, block, kBlock, &made)) {
      return failed(soxr_strerror(error));
    }
    if (made == 0) return {};
    out.insert(out.end(), block, block + made);
  }
}

}  // namespace miao::prep
