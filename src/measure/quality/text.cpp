// See quality.h: windows of a text through one or two decoders.
#include <algorithm>
#include <cmath>
#include <string>

#include "base/check.h"
#include "base/cpu.h"
#include "base/file.h"
#include "io/checkpoint.h"
#include "kernels/kernels.h"
#include "measure/divergence.h"
#include "measure/quality.h"
#include "models/spec.h"
#include "prep/tokenizer.h"
#include "runtime/engine.h"

namespace miao::measure {

namespace {

using runtime::Engine;
using runtime::Logits;
using runtime::Sequence;
using runtime::Slice;
using runtime::Want;

constexpr int64_t kLogitsBytes = int64_t{64} << 20;  // of one pass of one model
constexpr int64_t kPassTokens = 512;                 // short windows go through the model together, up to so many
constexpr int64_t kLeastWindow = 8;

struct Ids {
  std::vector<int32_t> text;
  std::optional<int32_t> begin;
};

Result<Ids> ids_of(const Engine& engine, std::string_view text) {
  MIAO_TRY(const prep::Tokenizer* tokenizer, engine.tokenizer());
  // Text is no conversation: what looks like a control token in it is spelled out.
  MIAO_TRY(std::vector<int32_t> ids, tokenizer->encode(text, {.add_special = false, .parse_special = false}));
  Ids out;
  const auto prefix = tokenizer->prefix();
  if (!prefix.empty()) out.begin = prefix[0];
  out.text.assign(prefix.begin(), prefix.end());
  out.text.insert(out.text.end(), ids.begin(), ids.end());
  for (const int32_t id : out.text) {
    if (id >= 0 && id < engine.vocab()) continue;
    return Error{
        Code::corrupt,
        "its tokenizer gives token " + std::to_string(id) + ", and the model has " + std::to_string(engine.vocab()),
        engine.checkpoint().path().string()};
  }
  return out;
}

Result<void> check_model(const Engine& engine, int64_t ctx) {
  const std::string where = engine.checkpoint().path().string();
  if (engine.spec().shape != models::ModelSpec::Shape::decoder)
    return Error{Code::unsupported, "is no decoder; how likely a text is can be asked of decoders only", where};
  const int64_t most = std::min(engine.ctx(), engine.spec().ctx);
  if (ctx > most) {
    return Error{Code::invalid,
                 "its context holds " + std::to_string(most) + " tokens, windows have " + std::to_string(ctx) +
                     "; make them shorter (--ctx)",
                 where};
  }
  return {};
}

Error too_short(int64_t tokens, int64_t ctx) {
  return {Code::invalid,
          "has " + std::to_string(tokens) + " tokens, and one window takes " + std::to_string(ctx) +
              "; give a longer text or shorter windows (--ctx)",
          "text"};
}

Result<void> check_agreement(const Engine& model, const Engine& base, const Ids& ids, std::string_view text) {
  const std::string where = base.checkpoint().path().string();
  MIAO_TRY(const Ids other, ids_of(base, text));
  if (other.text != ids.text || other.begin != ids.begin) {
    const auto at = std::ranges::mismatch(other.text, ids.text).in1 - other.text.begin();
    return Error{Code::invalid,
                 "its tokenizer makes other ids of the text than that of the model (the first is number " +
                     std::to_string(at + 1) + "); tokens can be compared between models of one tokenizer only",
                 where};
  }
  if (base.vocab() == model.vocab()) return {};
  return Error{Code::invalid,
               "has logits of " + std::to_string(base.vocab()) + " tokens, the model of " +
                   std::to_string(model.vocab()) + "; distributions can be compared over one vocabulary only",
               where};
}

// Scores rows of both models as they come out, so that logits never pile up.
class Scorer {
 public:
  Scorer(Engine& model, bool paired, const kernels::Kernels& k, TextRecords& out) : model_(model), k_(k), out_(out) {
    const auto vocab = static_cast<size_t>(model.vocab());
    for (int i = 0; i < model.pool().threads(); ++i) scratch_.emplace_back((paired ? 2 : 1) * vocab);
  }

  // Row i of the logits is about tokens[i], the item at places[i] of the records.
  Result<void> score(const Logits& logits, const Logits* base, std::span<const int32_t> tokens,
                     std::span<const size_t> places) {
    std::atomic<bool> broken{false};
    model_.pool().run([&](Worker& worker) {
      const Range rows = worker.split(logits.rows());
      std::vector<float>& scratch = scratch_[static_cast<size_t>(worker.index)];
      for (int64_t i = rows.begin; i < rows.end; ++i) {
        const auto row = static_cast<size_t>(i);
        const bool sound = base ? pair(logits.row(i), base->row(i), tokens[row], places[row], scratch)
                                : single(logits.row(i), tokens[row], places[row], scratch);
        if (!sound) broken = true;
      }
    });
    if (!broken) return {};
    return Error{Code::corrupt, "the model gives logits that are no numbers; its file may be damaged",
                 model_.checkpoint().path().string()};
  }

 private:
  bool single(std::span<const float> logits, int32_t token, size_t at, std::span<float> scratch) {
    const TokenView own = view(k_, logits, token, scratch);
    out_.nll[at] = static_cast<float>(own.nll);
    return std::isfinite(own.nll);
  }

  bool pair(std::span<const float> logits, std::span<const float> base, int32_t token, size_t at,
            std::span<float> scratch) {
    const auto q = scratch.first(logits.size()), p = scratch.subspan(logits.size());
    const TokenView own = view(k_, logits, token, q), other = view(k_, base, token, p);
    const Divergence d = divergence(base, other.log_sum, p, logits, own.log_sum, q);
    out_.nll[at] = static_cast<float>(own.nll);
    out_.base_nll[at] = static_cast<float>(other.nll);
    out_.kl[at] = static_cast<float>(d.kl);
    out_.tv[at] = static_cast<float>(d.tv);
    out_.same_top[at] = own.top == other.top;
    out_.right[at] = own.top == token;
    out_.base_right[at] = other.top == token;
    return std::isfinite(own.nll) && std::isfinite(other.nll) && std::isfinite(d.kl);
  }

  Engine& model_;
  const kernels::Kernels& k_;
  TextRecords& out_;
  std::vector<std::vector<float>> scratch_;
};

// Some windows that go through a model together.
class Group {
 public:
  Group(Engine& engine, int64_t windows, const std::atomic<bool>* stop) : engine_(engine), stop_(stop) {
    for (int64_t i = 0; i < windows; ++i) sequences_.push_back(engine.new_sequence());
  }

  // Tokens first .. first + count - 1 of each window.
  Result<Logits> feed(std::span<const std::vector<int32_t>> windows, int64_t first, int64_t count, Want want) {
    std::vector<Slice> slices;
    for (size_t i = 0; i < windows.size(); ++i) {
      if (first == 0) sequences_[i].clear();
      const auto tokens = std::span(windows[i]).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
      slices.push_back({&sequences_[i], tokens, want});
    }
    return engine_.forward(slices, stop_);
  }

 private:
  Engine& engine_;
  const std::atomic<bool>* stop_;
  std::vector<Sequence> sequences_;
};

struct Models {
  Engine& model;
  Engine* base;
};

Result<void> run_windows(const Models& models, std::span<const std::vector<int32_t>> all, const QualityRun& run,
                         TextRecords& out) {
  const int64_t ctx = out.ctx, half = ctx / 2;
  const int64_t row_bytes = models.model.vocab() * static_cast<int64_t>(sizeof(float));
  const int64_t together = std::clamp<int64_t>(kPassTokens / ctx, 1, out.chunks);
  const int64_t rows = std::max<int64_t>(1, kLogitsBytes / row_bytes / together);  // of each window in one pass
  MIAO_CHECK_OK(models.model.check_memory(together, ctx));
  if (models.base) MIAO_CHECK_OK(models.base->check_memory(together, ctx));
  MIAO_TRY(const kernels::Kernels* k, kernels::select(cpu_features(), models.model.isa()));
  Scorer scorer(models.model, out.paired, *k, out);
  Group own(models.model, together, run.stop);
  std::optional<Group> base;
  if (models.base) base.emplace(*models.base, together, run.stop);
  for (int64_t chunk = 0; chunk < out.chunks; chunk += together) {
    const auto windows =
        all.subspan(static_cast<size_t>(chunk), static_cast<size_t>(std::min(together, out.chunks - chunk)));
    MIAO_CHECK_OK(own.feed(windows, 0, half, Want::none));
    if (base) MIAO_CHECK_OK(base->feed(windows, 0, half, Want::none));
    for (int64_t at = half; at < ctx - 1;) {
      const int64_t count = std::min(rows, ctx - 1 - at);
      std::vector<int32_t> tokens;
      std::vector<size_t> places;
      for (size_t w = 0; w < windows.size(); ++w) {
        for (int64_t t = at; t < at + count; ++t) {
          tokens.push_back(windows[w][static_cast<size_t>(t + 1)]);
          places.push_back(static_cast<size_t>((chunk + static_cast<int64_t>(w)) * out.scored + t - half));
        }
      }
      MIAO_TRY(const Logits logits, own.feed(windows, at, count, Want::all));
      Logits others;
      if (base) {
        MIAO_TRY(others, base->feed(windows, at, count, Want::all));
      }
      MIAO_CHECK_OK(scorer.score(logits, base ? &others : nullptr, tokens, places));
      at += count;
    }
    if (run.progress) run.progress(std::min(chunk + together, out.chunks), out.chunks);
  }
  return {};
}

// `out` knows ctx, chunks and whether it is paired.
Result<void> run_all(const Models& models, std::span<const std::vector<int32_t>> windows, const QualityRun& run,
                     TextRecords& out) {
  out.scored = out.ctx - 1 - out.ctx / 2;
  const auto items = static_cast<size_t>(out.chunks * out.scored), paired = out.paired ? items : 0;
  out.nll.resize(items);
  for (std::vector<float>* of_both : {&out.base_nll, &out.kl, &out.tv}) of_both->resize(paired);
  for (std::vector<uint8_t>* of_both : {&out.same_top, &out.right, &out.base_right}) of_both->resize(paired);
  return run_windows(models, windows, run, out);
}

}  // namespace

Result<TextRecords> measure_text(Engine& model, Engine* base, std::string_view text, const TextCase& what,
                                 const QualityRun& run) {
  if (what.ctx < kLeastWindow) {
    return Error{Code::invalid, "a window has at least " + std::to_string(kLeastWindow) + " tokens (--ctx)", "text"};
  }
  MIAO_CHECK_OK(check_text(text, "text"));
  MIAO_CHECK_OK(check_model(model, what.ctx));
  if (base) MIAO_CHECK_OK(check_model(*base, what.ctx));
  MIAO_TRY(const Ids ids, ids_of(model, text));
  if (base) MIAO_CHECK_OK(check_agreement(model, *base, ids, text));
  TextRecords out;
  out.ctx = what.ctx;
  out.tokens = static_cast<int64_t>(ids.text.size());
  out.begins = ids.begin.has_value();
  out.paired = base != nullptr;
  out.chunks = out.tokens / what.ctx;
  if (text.empty()) return Error{Code::invalid, "is empty", "text"};
  if (out.chunks == 0) return too_short(out.tokens, what.ctx);
  if (what.chunks > 0) out.chunks = std::min(out.chunks, what.chunks);
  std::vector<std::vector<int32_t>> windows;
  for (int64_t i = 0; i < out.chunks; ++i) {
    const auto begin = ids.text.begin() + i * what.ctx;
    windows.emplace_back(begin, begin + what.ctx);
    if (ids.begin) windows.back()[0] = *ids.begin;
  }
  MIAO_CHECK_OK(run_all({model, base}, windows, run, out));
  return out;
}

Result<TextRecords> measure_windows(Engine& model, Engine* base, std::span<const std::vector<int32_t>> windows,
                                    const QualityRun& run) {
  if (windows.empty()) return Error{Code::invalid, "is empty", "text"};
  TextRecords out;
  out.chunks = static_cast<int64_t>(windows.size());
  out.ctx = static_cast<int64_t>(windows[0].size());
  MIAO_CHECK(out.ctx >= kLeastWindow);
  for (const auto& window : windows) MIAO_CHECK(static_cast<int64_t>(window.size()) == out.ctx);
  MIAO_CHECK_OK(check_model(model, out.ctx));
  if (base) MIAO_CHECK_OK(check_model(*base, out.ctx));
  out.tokens = out.chunks * out.ctx;
  out.paired = base != nullptr;
  MIAO_CHECK_OK(run_all({model, base}, windows, run, out));
  return out;
}

}  // namespace miao::measure
