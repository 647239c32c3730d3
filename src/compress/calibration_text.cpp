#include "compress/calibration_text.h"

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "measure/quality_data.h"
#include "prep/tokenizer.h"
#include "runtime/embed.h"
#include "runtime/rng.h"
#include "runtime/sampler.h"

namespace miao::compress {

namespace {

constexpr int64_t kTogether = 32;  // windows that are written side by side
constexpr float kNucleus = 0.98f;  // the far tail of a small model is noise, which one such token keeps up for long

// What a window begins with.
std::vector<int32_t> beginning(runtime::Engine& engine, runtime::Rng& random) {
  if (const auto tokenizer = engine.tokenizer(); tokenizer.ok()) {
    if (auto ids = (*tokenizer)->encode(""); ids.ok() && !ids->empty()) return {ids->front()};
  }
  return {static_cast<int32_t>(random.below(static_cast<uint64_t>(engine.vocab())))};
}

}  // namespace

Result<std::vector<std::vector<int32_t>>> text_windows(const prep::Tokenizer& tokenizer, std::string_view text,
                                                       const WindowOptions& options) {
  MIAO_CHECK_OK(check_text(text, {}));
  MIAO_TRY(const std::vector<int32_t> begin, tokenizer.encode(""));
  MIAO_TRY(const std::vector<int32_t> ids, tokenizer.encode(text, {.add_special = false, .parse_special = false}));
  const size_t head = begin.empty() ? 0 : 1, length = static_cast<size_t>(options.tokens) - head;
  const size_t whole = ids.size() / length, count = std::min(whole, static_cast<size_t>(options.windows));
  if (count == 0) {
    return Error{Code::invalid,
                 "has " + std::to_string(ids.size()) + " tokens, and a window takes " + std::to_string(length) +
                     "; give a longer text or lower the window",
                 {}};
  }
  std::vector<std::vector<int32_t>> out;
  for (size_t i = 0; i < count; ++i) {
    const auto from = ids.begin() + static_cast<int64_t>(i * whole / count * length);
    std::vector<int32_t>& window = out.emplace_back(begin.begin(), begin.begin() + static_cast<int64_t>(head));
    window.insert(window.end(), from, from + static_cast<int64_t>(length));
  }
  return out;
}

Result<std::vector<std::vector<int32_t>>> text_items(runtime::Encoder& encoder, std::string_view text,
                                                     const WindowOptions& options) {
  MIAO_CHECK_OK(check_text(text, {}));
  MIAO_TRY(const auto lines, measure::parse_texts(text, {}));
  MIAO_TRY(auto ids, runtime::text_ids(encoder, lines, {.truncate = true}));
  size_t tokens = 0;
  for (const auto& of_line : ids) tokens += of_line.size();
  const double most = static_cast<double>(options.windows * options.tokens);
  const double share = std::min(1.0, most / static_cast<double>(std::max<size_t>(1, tokens)));
  std::vector<std::vector<int32_t>> out;
  for (size_t i = 0; i < ids.size(); ++i) {
    if (std::floor(share * static_cast<double>(i + 1)) > std::floor(share * static_cast<double>(i)) || share == 1)
      out.push_back(std::move(ids[i]));
  }
  if (out.empty()) out.push_back(std::move(ids[0]));
  return out;
}

Result<std::vector<std::vector<int32_t>>> own_text(runtime::Engine& engine, const OwnTextOptions& options) {
  std::vector<std::vector<int32_t>> out;
  runtime::Rng random(options.seed);
  const int64_t length = std::min(options.size.tokens, engine.ctx());
  int64_t written = 0;
  while (static_cast<int64_t>(out.size()) < options.size.windows) {
    const auto count =
        static_cast<size_t>(std::min(kTogether, options.size.windows - static_cast<int64_t>(out.size())));
    std::vector<runtime::Sequence> sequences;
    std::vector<runtime::Sampler> samplers;
    const size_t begin = out.size();
    for (size_t i = 0; i < count; ++i) {
      sequences.push_back(engine.new_sequence());
      MIAO_TRY(
          runtime::Sampler sampler,
          runtime::Sampler::create({.top_p = kNucleus, .seed = options.seed * 1000003 + begin + i}, engine.vocab()));
      samplers.push_back(std::move(sampler));
      out.push_back(beginning(engine, random));
    }
    for (int64_t t = 1; t < length; ++t) {
      std::vector<runtime::Slice> slices;
      for (size_t i = 0; i < count; ++i) {
        slices.push_back({&sequences[i], std::span(out[begin + i]).last(1), runtime::Want::last});
      }
      MIAO_TRY(const runtime::Logits logits, engine.forward(slices, options.cancel));
      for (size_t i = 0; i < count; ++i) {
        MIAO_TRY(const int32_t token, samplers[i].sample(logits.row(static_cast<int64_t>(i))));
        out[begin + i].push_back(token);
      }
      written += static_cast<int64_t>(count);
      if (options.progress) options.progress(written);
    }
  }
  return out;
}

}  // namespace miao::compress
