#include "cli/chat/figures.h"

#include <fmt/format.h>

#include "base/cpu.h"
#include "base/json.h"
#include "cli/terminal.h"
#include "measure/machine.h"

namespace miao::cli {

Figures figures(runtime::Engine& engine, const runtime::GenerateStats& stats) {
  Figures out;
  out.stats = stats;
  out.load_seconds = engine.load_seconds();
  out.peak_rss = peak_rss_bytes();  // before the bandwidth is measured in a buffer of its own
  int64_t weights = 0;
  for (const auto& group : engine.kernels()) weights += group.bytes;
  constexpr int64_t kEnough = 8;  // tokens: fewer say little
  if (stats.new_tokens < kEnough || stats.decode_seconds <= 0) return out;
  const double context = static_cast<double>(stats.prompt_tokens) + static_cast<double>(stats.new_tokens) / 2;
  const double bytes = static_cast<double>(weights) + context * static_cast<double>(engine.memory().kv_per_token);
  const double speed = bytes * stats.decode_tok_s();
  const auto bandwidth = measure::cached_read_bandwidth(engine.pool(), weights, speed);
  if (bandwidth.ok()) out.bandwidth_share = speed / *bandwidth;
  return out;
}

std::string Figures::line() const {
  const int64_t computed = stats.prompt_tokens - stats.reused_tokens;
  std::string out = fmt::format("prompt {} tokens", stats.prompt_tokens);
  if (stats.reused_tokens > 0) out += fmt::format(" ({} kept)", stats.reused_tokens);
  if (computed > 0 && stats.prefill_seconds > 0) out += fmt::format(", {:.1f} tok/s", stats.prefill_tok_s());
  out += fmt::format(" | answer {} tokens", stats.new_tokens);
  if (stats.new_tokens > 1) out += fmt::format(", {:.1f} tok/s", stats.decode_tok_s());
  if (stats.first_seconds > 0) out += fmt::format(" | first token {:.0f} ms", 1e3 * stats.first_seconds);
  if (bandwidth_share > 0) out += fmt::format(" | {:.0f} % of read bandwidth", 100 * bandwidth_share);
  return out + " | peak " + human_bytes(peak_rss);
}

void Figures::add_to(Json& object) const {
  object["prompt_tokens"] = stats.prompt_tokens;
  object["reused_tokens"] = stats.reused_tokens;
  object["new_tokens"] = stats.new_tokens;
  object["prefill_tok_s"] = stats.prefill_tok_s();
  object["decode_tok_s"] = stats.decode_tok_s();
  object["ttft_ms"] = 1e3 * stats.first_seconds;
  object["bandwidth_share"] = bandwidth_share > 0 ? Json(bandwidth_share) : Json();
  object["peak_rss_bytes"] = peak_rss;
  object["load_ms"] = 1e3 * load_seconds;
}

}  // namespace miao::cli
