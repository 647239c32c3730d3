#include "runtime/generate.h"

#include <algorithm>
#include <optional>

#include "base/clock.h"
#include "prep/tokenizer.h"
#include "runtime/stop.h"

namespace miao::runtime {

namespace {

// A prompt goes through the model in pieces of so many tokens: those that are done stay when a later one is cancelled.
// A multiple of any sensible EngineOptions::chunk.
constexpr size_t kPiece = 1024;

bool cancelled(const std::atomic<bool>* flag) { return flag && flag->load(std::memory_order_relaxed); }

double rate(int64_t tokens, double seconds) {
  return tokens > 0 && seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

}  // namespace

const char* stop_reason_name(StopReason reason) {
  constexpr const char* kNames[] = {"end", "stop string", "max tokens", "context full", "cancelled"};
  return kNames[static_cast<size_t>(reason)];
}

double GenerateStats::prefill_tok_s() const { return rate(prompt_tokens - reused_tokens, prefill_seconds); }
double GenerateStats::decode_tok_s() const { return rate(new_tokens - 1, decode_seconds); }

void Generator::clear() {
  sequence_.clear();
  past_.clear();
}

// Appends tokens; the logits after the last one. Code::cancelled when the flag was raised.
Result<Logits> Generator::feed(std::span<const int32_t> tokens, const std::atomic<bool>* cancel) {
  for (;;) {
    if (cancelled(cancel)) return Error{Code::cancelled, "interrupted", {}};
    const auto piece = tokens.first(std::min(kPiece, tokens.size()));
    tokens = tokens.subspan(piece.size());
    MIAO_TRY(const Logits logits, engine_.forward(sequence_, piece, tokens.empty() ? Want::last : Want::none, cancel));
    past_.insert(past_.end(), piece.begin(), piece.end());
    if (tokens.empty()) return logits;
  }
}

Result<Generated> Generator::run(std::span<const int32_t> prompt, const GenerateOptions& options,
                                 const OnText& on_text) {
  const double start = now_seconds();
  const auto count = static_cast<int64_t>(prompt.size());
  if (prompt.empty()) return Error{Code::invalid, "is empty", "prompt"};
  if (count >= engine_.ctx()) {
    return Error{Code::invalid,
                 "has " + std::to_string(count) + " tokens, but the context holds " + std::to_string(engine_.ctx()) +
                     " with the answer; shorten it or raise the context length (ctx)",
                 "prompt"};
  }
  const auto found = engine_.tokenizer();
  if (!found.ok() && !options.stop.empty()) return found.error();  // there is no text to find them in
  const prep::Tokenizer* const tokenizer = found.ok() ? *found : nullptr;
  MIAO_TRY(Sampler sampler, Sampler::create(options.sampling, engine_.vocab()));
  MIAO_TRY(StopMatcher matcher, StopMatcher::create(options.stop));
  std::optional<prep::StreamDecoder> decoder;
  if (tokenizer) decoder.emplace(*tokenizer, !options.show_special);
  sampler.accept(prompt);

  Generated out;
  out.seed = sampler.seed();
  out.stats.prompt_tokens = count;
  const auto ends = [&](int32_t id) {
    return !options.ignore_end &&
           ((tokenizer && tokenizer->is_eog(id)) ||
            std::find(options.stop_tokens.begin(), options.stop_tokens.end(), id) != options.stop_tokens.end());
  };
  const auto show = [&](const std::string& text) {
    if (text.empty()) return;
    out.text += text;
    if (on_text) on_text(text);
  };

  // At least the last token of the prompt is computed: its logits are wanted.
  const auto same = std::mismatch(past_.begin(), past_.end(), prompt.begin(), prompt.end()).first - past_.begin();
  const int64_t keep = std::min<int64_t>(same, count - 1);
  sequence_.truncate(keep);
  past_.resize(static_cast<size_t>(keep));
  out.stats.reused_tokens = keep;

  std::span<const int32_t> next = prompt.subspan(static_cast<size_t>(keep));
  double first = 0, last = 0;
  int32_t id = 0;
  out.reason = StopReason::cancelled;
  for (;;) {
    if (out.stats.new_tokens == options.max_tokens) {
      out.reason = StopReason::max_tokens;
      break;
    }
    if (sequence_.size() + static_cast<int64_t>(next.size()) > engine_.ctx()) {
      out.reason = StopReason::context_full;
      break;
    }
    const auto logits = feed(next, options.cancel);
    if (!logits.ok() && logits.error().code == Code::cancelled) break;
    if (!logits.ok()) return logits.error();
    const double computed = now_seconds();
    if (first == 0) out.stats.prefill_seconds = computed - start;
    MIAO_TRY(id, sampler.sample(logits->row(0)));
    sampler.accept(id);
    ++out.stats.new_tokens;
    last = now_seconds();
    if (first == 0) first = last;
    if (ends(id)) {
      out.reason = StopReason::end_of_text;
      break;
    }
    out.tokens.push_back(id);
    if (decoder) show(matcher.push(decoder->push(id)));
    if (matcher.stopped()) break;
    next = {&id, 1};
  }
  if (decoder && !matcher.stopped()) show(matcher.push(decoder->flush()));
  show(matcher.finish());
  if (matcher.stopped()) {
    out.reason = StopReason::stop_string;
    out.stop = matcher.matched();
  }
  if (first > 0) {
    out.stats.first_seconds = first - start;
    out.stats.decode_seconds = last - first;
  }
  return out;
}

}  // namespace miao::runtime
