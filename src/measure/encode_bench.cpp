// See encode_bench.h.
#include "measure/encode_bench.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/memory.h"
#include "measure/herd.h"
#include "models/spec.h"
#include "prep/tokenizer.h"
#include "runtime/embed.h"

namespace miao::measure {

using runtime::Encoder;
using runtime::EncoderInput;
using runtime::Rng;

namespace {

using Ids = std::vector<std::vector<int32_t>>;

constexpr int64_t kTokens = 4096;    // of a repetition of random inputs, about
constexpr int64_t kMostPasses = 64;  // of one

// Seconds of one pass.
Result<double> time_pass(Encoder& encoder, std::span<const std::vector<int32_t>> ids, const std::atomic<bool>* stop) {
  if (stop && *stop) return Error{Code::cancelled, "interrupted", "bench"};
  std::vector<EncoderInput> inputs;
  for (const std::vector<int32_t>& of_input : ids) inputs.push_back({of_input, {}});
  const double start = now_seconds();
  MIAO_CHECK_OK(encoder.run(inputs, stop));
  return now_seconds() - start;
}

// All ids, `batch` inputs in a pass; the seconds of each pass go to `out`, their sum is the result.
Result<double> time_passes(Encoder& encoder, std::span<const std::vector<int32_t>> ids, int64_t batch,
                           const std::atomic<bool>* stop, std::vector<double>* out) {
  double sum = 0;
  const auto step = static_cast<size_t>(batch);
  for (size_t at = 0; at < ids.size(); at += step) {
    const auto pass = ids.subspan(at, std::min(step, ids.size() - at));
    MIAO_TRY(const double seconds, time_pass(encoder, pass, stop));
    if (out) out->push_back(seconds);
    sum += seconds;
  }
  return sum;
}

int64_t tokens_of(std::span<const std::vector<int32_t>> ids) {
  int64_t sum = 0;
  for (const auto& of_input : ids) sum += static_cast<int64_t>(of_input.size());
  return sum;
}

void finish(Encoder& encoder, const BenchOptions& options, EncodeRow& row) {
  if (options.profile) row.profile = encoder.profile();
  encoder.profile(false);
  row.threads = encoder.pool().threads();
  row.tok_s = rates(row.tokens, row.seconds);
  row.inputs_s = rates(row.inputs, row.seconds);
  row.pass_p50_ms = 1e3 * quantile(row.pass_seconds, 0.5);
  row.pass_p90_ms = 1e3 * quantile(row.pass_seconds, 0.9);
  row.pass_p99_ms = 1e3 * quantile(row.pass_seconds, 0.99);
  row.peak_rss = static_cast<int64_t>(peak_rss_bytes());
}

Result<Ids> tokenise(const Encoder& encoder, std::span<const std::string> texts) {
  MIAO_TRY(const prep::Tokenizer* const tokenizer, encoder.tokenizer());
  const int64_t limit = runtime::text_limit(encoder);
  Ids out;
  for (size_t i = 0; i < texts.size(); ++i) {
    auto ids = runtime::encode_text(*tokenizer, texts[i], limit, true);
    if (!ids.ok()) return std::move(ids.error()).at("text " + std::to_string(i + 1));
    out.push_back(std::move(*ids));
  }
  std::ranges::stable_sort(out, [](const auto& a, const auto& b) { return a.size() > b.size(); });
  return out;
}

Ids random_ids(const Encoder& encoder, std::span<const int64_t> lengths, Rng& rng) {
  Ids out;
  for (const int64_t n : lengths) out.push_back(random_tokens(rng, n, encoder.spec().vocab));
  return out;
}

// Bytes of the ids of a pass and of what comes out, a row a token at most.
uint64_t room(const Encoder& encoder, const EncodeCase& what) {
  const auto row = static_cast<uint64_t>(encoder.spec().dim + 4) * sizeof(float);
  const auto tokens = checked_mul(static_cast<uint64_t>(what.batch), static_cast<uint64_t>(what.tokens));
  return (tokens ? checked_mul(*tokens, row) : tokens).value_or(UINT64_MAX);
}

Result<void> check_room(const Encoder& encoder, const EncodeCase& what) {
  if (what.tokens > encoder.ctx()) {
    return Error{Code::invalid,
                 "inputs of " + std::to_string(what.tokens) + " tokens are too long: this encoder reads " +
                     std::to_string(encoder.ctx()),
                 "bench"};
  }
  return require_memory(room(encoder, what), "inputs and their vectors", "lower --batch");
}

}  // namespace

std::string name_of(const EncodeRow& row) {
  return row.texts.empty() ? fmt::format("{:.0f} tokens, batch {}", row.mean_tokens(), row.batch)
                           : fmt::format("{}, batch {}", row.texts, row.batch);
}

Result<EncodeRow> bench_encode(Encoder& encoder, const EncodeCase& what, const BenchOptions& options) {
  MIAO_CHECK_OK(check_room(encoder, what));
  const int64_t passes = std::clamp<int64_t>(kTokens / what.tokens / what.batch, 1, kMostPasses);
  Rng rng(options.seed);
  const std::vector<int64_t> lengths(static_cast<size_t>(passes * what.batch), what.tokens);
  return bench_ids(encoder, random_ids(encoder, lengths, rng), what.batch, options);
}

Result<EncodeRow> bench_ids(Encoder& encoder, std::span<const std::vector<int32_t>> ids, int64_t batch,
                            const BenchOptions& options) {
  EncodeRow row{.inputs = static_cast<int64_t>(ids.size()), .tokens = tokens_of(ids), .batch = batch};
  MIAO_CHECK_OK(time_passes(encoder, ids, batch, options.stop, nullptr));
  encoder.profile(options.profile);
  for (int rep = 0; rep < options.reps; ++rep) {
    MIAO_TRY(const double seconds, time_passes(encoder, ids, batch, options.stop, &row.pass_seconds));
    row.seconds.push_back(seconds);
  }
  finish(encoder, options, row);
  return row;
}

Result<EncodeRow> bench_texts(Encoder& encoder, std::span<const std::string> texts, std::string name, int64_t batch,
                              const BenchOptions& options) {
  if (texts.empty()) return Error{Code::invalid, "there are no texts in it", std::move(name)};
  EncodeRow row{.texts = std::move(name), .inputs = static_cast<int64_t>(texts.size()), .batch = batch};
  std::vector<double> whole;
  for (int rep = -1; rep < options.reps; ++rep) {  // the first does not count
    if (rep == 0) encoder.profile(options.profile);
    const double start = now_seconds();
    MIAO_TRY(const Ids ids, tokenise(encoder, texts));
    const double tokenising = now_seconds() - start;
    MIAO_TRY(const double seconds,
             time_passes(encoder, ids, batch, options.stop, rep < 0 ? nullptr : &row.pass_seconds));
    if (rep < 0) continue;
    row.tokens = tokens_of(ids);
    row.tokenising_seconds.push_back(tokenising);
    row.seconds.push_back(seconds);
    whole.push_back(tokenising + seconds);
  }
  row.whole_inputs_s = rates(row.inputs, whole);
  finish(encoder, options, row);
  return row;
}

void compare_with(const Limits& limits, const Encoder& encoder, int64_t chunk, EncodeRow& row) {
  row.limits = limits;
  std::vector<runtime::KernelReport> blocks = encoder.kernels();
  // A head runs once an input.
  std::erase_if(blocks, [](const auto& group) { return group.weights == "lm_head" || group.weights == "dense"; });
  row.peak = peak_of(blocks, limits);
  double weights = 0;  // bytes
  for (const auto& group : blocks) {
    row.ops_per_token += 2 * group.products;
    weights += static_cast<double>(group.bytes);
  }
  // Weights are read once for each `chunk` of tokens of a pass.
  const double pass_tokens = row.mean_tokens() * static_cast<double>(row.batch);
  const double bytes = weights * std::ceil(pass_tokens / static_cast<double>(chunk));
  row.load = {.ops_per_byte = row.ops_per_token * pass_tokens / bytes,
              .ops_per_second = row.ops_per_token * row.tok_s.median,
              .share = row.ops_per_token * row.tok_s.median / row.peak.ops};
}

Result<LatencyReport> bench_latency(Encoder& encoder, const Workload& workload, int64_t chunk) {
  MIAO_CHECK_OK(check_room(encoder, {.tokens = workload.lengths.max(), .batch = workload.batch}));
  Rng rng(workload.seed);
  MIAO_TRY(LatencyReport out, measure_workload(workload, chunk, [&](std::span<const int64_t> lengths) {
             return time_pass(encoder, random_ids(encoder, lengths, rng), workload.stop);
           }));
  out.threads = encoder.pool().threads();
  return out;
}

}  // namespace miao::measure
