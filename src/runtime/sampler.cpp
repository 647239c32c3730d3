// Weights are exp((logit - max) / temperature), so the likeliest token weighs 1 and nothing overflows.
#include "runtime/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "base/check.h"

namespace miao::runtime {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Error invalid(std::string message) { return Error{Code::invalid, std::move(message), "sampling"}; }

// Ranks candidates: the larger logit, of equals the lower id.
bool likelier(const Sampler::Candidate& a, const Sampler::Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}
// The order of std heaps whose top is the likeliest.
bool less_likely(const Sampler::Candidate& a, const Sampler::Candidate& b) { return likelier(b, a); }

uint64_t system_seed() {
  std::random_device device;
  return (uint64_t{device()} << 32) | device();
}

}  // namespace

Result<Sampler> Sampler::create(SamplerOptions options, int64_t vocab) {
  MIAO_CHECK(vocab > 0);
  const auto in_range = [](float x, float low, float high) { return x >= low && x <= high; };  // false for NaN
  const float kMax = std::numeric_limits<float>::max();
  if (!in_range(options.temperature, 0, kMax)) return invalid("the temperature must be 0 (greedy) or positive");
  if (options.top_k < 0) return invalid("top-k must be 0 (off) or positive");
  if (!in_range(options.top_p, 0, 1)) return invalid("top-p must lie in 0 .. 1");
  if (!in_range(options.min_p, 0, 1)) return invalid("min-p must lie in 0 .. 1");
  if (!in_range(options.repeat_penalty, std::numeric_limits<float>::min(), kMax)) {
    return invalid("the repetition penalty must be positive; 1 switches it off");
  }
  if (!in_range(options.frequency_penalty, -kMax, kMax))
    return invalid("the frequency penalty must be a finite number");
  if (!in_range(options.presence_penalty, -kMax, kMax)) return invalid("the presence penalty must be a finite number");
  if (options.penalty_last_n < -1) return invalid("the penalty window must be -1 (everything), 0 (off) or positive");
  for (const auto& bias : options.logit_bias) {
    if (bias.token < 0 || bias.token >= vocab) {
      return invalid("logit bias names token " + std::to_string(bias.token) + ", but the vocabulary has " +
                     std::to_string(vocab) + " tokens");
    }
    if (!in_range(bias.value, -kInfinity, kMax)) {
      return invalid("the logit bias of token " + std::to_string(bias.token) + " must be finite, or -inf to ban it");
    }
  }
  const uint64_t seed = options.seed ? *options.seed : system_seed();
  return Sampler(std::move(options), vocab, seed);
}

Sampler::Sampler(SamplerOptions options, int64_t vocab, uint64_t seed)
    : options_(std::move(options)), vocab_(vocab), seed_(seed), rng_(seed) {}

void Sampler::accept(int32_t token) {
  if (options_.penalty_last_n == 0) return;
  if (options_.penalty_last_n > 0) {
    window_.push_back(token);
    if (static_cast<int64_t>(window_.size()) > options_.penalty_last_n) {
      const auto oldest = counts_.find(window_.front());
      if (--oldest->second == 0) counts_.erase(oldest);
      window_.pop_front();
    }
  }
  ++counts_[token];
}

void Sampler::accept(std::span<const int32_t> tokens) {
  for (int32_t token : tokens) accept(token);
}

void Sampler::clear() {
  window_.clear();
  counts_.clear();
}

// The logits with bias and penalties: `logits` itself when there is nothing to change.
std::span<const float> Sampler::adjusted(std::span<const float> logits) {
  const bool penalties =
      options_.repeat_penalty != 1 || options_.frequency_penalty != 0 || options_.presence_penalty != 0;
  if (options_.logit_bias.empty() && (!penalties || counts_.empty())) return logits;
  work_.assign(logits.begin(), logits.end());
  for (const auto& bias : options_.logit_bias) work_[static_cast<size_t>(bias.token)] += bias.value;
  if (penalties) {
    for (const auto& [token, count] : counts_) {
      if (token < 0 || token >= vocab_) continue;
      float& logit = work_[static_cast<size_t>(token)];
      logit = logit > 0 ? logit / options_.repeat_penalty : logit * options_.repeat_penalty;
      logit -= static_cast<float>(count) * options_.frequency_penalty + options_.presence_penalty;
    }
  }
  return work_;
}

// candidates_ = the k likeliest tokens sorted (k given), else every token that is not masked in the order of ids; p
// holds the weight.
void Sampler::gather(std::span<const float> logits, float max) {
  candidates_.clear();
  const int64_t k = options_.top_k > 0 && options_.top_k < vocab_ ? options_.top_k : 0;
  for (int64_t i = 0; i < vocab_; ++i) {
    const float logit = logits[static_cast<size_t>(i)];
    if (logit == -kInfinity) continue;
    const Candidate candidate{static_cast<int32_t>(i), logit, 0};
    if (k == 0) {
      candidates_.push_back(candidate);
    } else if (static_cast<int64_t>(candidates_.size()) < k) {
      candidates_.push_back(candidate);
      std::push_heap(candidates_.begin(), candidates_.end(), likelier);  // the top is the least likely
    } else if (logit > candidates_.front().logit) {                      // of equals the lower id is already inside
      std::pop_heap(candidates_.begin(), candidates_.end(), likelier);
      candidates_.back() = candidate;
      std::push_heap(candidates_.begin(), candidates_.end(), likelier);
    }
  }
  if (k > 0) std::sort_heap(candidates_.begin(), candidates_.end(), likelier);
  for (Candidate& c : candidates_) c.p = std::exp((c.logit - max) / options_.temperature);
}

// Keeps the likeliest candidates until their weights reach top_p of the sum, the one that crosses it included.
void Sampler::keep_nucleus() {
  double total = 0;
  for (const Candidate& c : candidates_) total += c.p;
  const double wanted = static_cast<double>(options_.top_p) * total;
  std::make_heap(candidates_.begin(), candidates_.end(), less_likely);
  double sum = 0;
  auto end = candidates_.end();  // popped ones collect behind it, the likeliest last
  do {
    std::pop_heap(candidates_.begin(), end, less_likely);
    --end;
    sum += end->p;
  } while (sum < wanted && end != candidates_.begin());
  candidates_.erase(candidates_.begin(), end);
  std::reverse(candidates_.begin(), candidates_.end());
}

Result<std::span<const Sampler::Candidate>> Sampler::distribution(std::span<const float> raw) {
  MIAO_CHECK(static_cast<int64_t>(raw.size()) == vocab_);
  const std::span<const float> logits = adjusted(raw);
  float max = -kInfinity;
  int64_t best = -1;
  for (int64_t i = 0; i < vocab_; ++i) {
    const float logit = logits[static_cast<size_t>(i)];
    if (!(logit < kInfinity)) [[unlikely]] {
      return Error{Code::corrupt,
                   "the logit of token " + std::to_string(i) + " is " + (logit > 0 ? "infinite" : "not a number") +
                       "; the model file is damaged or its computation overflows",
                   "sampling"};
    }
    if (logit > max) {
      max = logit;
      best = i;
    }
  }
  if (best < 0) return invalid("every token is masked; remove a logit bias of -inf");
  if (options_.greedy()) {
    candidates_.assign(1, Candidate{static_cast<int32_t>(best), max, 1});
    return std::span<const Candidate>(candidates_);
  }
  gather(logits, max);
  if (options_.top_p < 1) keep_nucleus();
  if (options_.min_p > 0) std::erase_if(candidates_, [&](const Candidate& c) { return c.p < options_.min_p; });
  double total = 0;
  for (const Candidate& c : candidates_) total += c.p;
  for (Candidate& c : candidates_) c.p = static_cast<float>(c.p / total);
  return std::span<const Candidate>(candidates_);
}

Result<int32_t> Sampler::sample(std::span<const float> logits) {
  MIAO_TRY(const auto candidates, distribution(logits));
  if (options_.greedy()) return candidates.front().token;
  const double u = rng_.uniform();
  double sum = 0;
  const Candidate* last = nullptr;  // the last one that can be drawn, should rounding leave the sum below u
  for (const Candidate& c : candidates) {
    if (c.p > 0) last = &c;
    sum += c.p;
    if (u < sum) return c.token;
  }
  return last->token;
}

}  // namespace miao::runtime
