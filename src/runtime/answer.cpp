// See answer.h.
#include "runtime/answer.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "models/spec.h"
#include "runtime/windows.h"
#include "runtime/words.h"

namespace miao::runtime {

namespace {

struct Part {
  prep::EncodedPair pair;
  Window window;
};

// Of one of the two outputs: probabilities of the text's tokens, and of the token in front.
struct Ends {
  std::vector<double> text;
  double front = 0;

  Ends(const Encoded& rows, size_t input, const Part& part, size_t output) {
    const auto logit = [&](size_t t) { return double{rows.row(input, static_cast<int64_t>(t))[output]}; };
    const bool framed = part.pair.first > 0;  // there is a token in front
    double top = framed ? logit(0) : -INFINITY;
    for (size_t t = 0; t < part.window.size; ++t) top = std::max(top, logit(part.pair.second + t));
    if (framed) front = std::exp(logit(0) - top);
    double sum = front;
    for (size_t t = 0; t < part.window.size; ++t) {
      text.push_back(std::exp(logit(part.pair.second + t) - top));
      sum += text.back();
    }
    for (double& x : text) x /= sum;
    front /= sum;
  }
};

// The `count` surest of `answers`, each range once.
void keep_best(std::vector<Answer>& answers, size_t count) {
  std::ranges::stable_sort(answers, std::ranges::greater(), &Answer::score);
  std::vector<Answer> kept;
  for (const Answer& a : answers) {
    if (kept.size() == count) break;
    if (std::ranges::none_of(kept, [&](const Answer& k) { return k.range == a.range; })) kept.push_back(a);
  }
  answers = std::move(kept);
}

}  // namespace

Result<Answers> find_answers(Encoder& encoder, std::string_view question, std::string_view text,
                             const AnswerOptions& options) {
  if (encoder.spec().head.task != models::HeadSpec::Task::span) {
    return Error{Code::unsupported, "the model has no head that answers questions",
                 encoder.checkpoint().path().string()};
  }
  MIAO_TRY(const prep::Tokenizer* tokenizer, encoder.tokenizer());
  MIAO_TRY(const std::vector<int32_t> asked, tokenizer->encode(question, {.add_special = false}));
  MIAO_TRY(const prep::LocatedIds located, tokenizer->locate(text, {.add_special = false}));
  MIAO_TRY(const prep::EncodedPair bare, tokenizer->join(asked, {}));
  const auto limit = static_cast<size_t>(encoder.ctx());
  if (asked.empty()) return Error{Code::invalid, "the question is empty", {}};
  if (located.ids.empty()) return Error{Code::invalid, "the text is empty", {}};
  if (bare.ids.size() >= limit) {
    return Error{Code::invalid,
                 "the question has " + std::to_string(asked.size()) + " tokens and the model reads " +
                     std::to_string(limit) + " with the text; shorten it",
                 {}};
  }
  std::vector<Part> parts;
  std::vector<EncoderInput> inputs;
  for (const Window w : windows(located.ids.size(), limit - bare.ids.size(), static_cast<size_t>(options.overlap))) {
    MIAO_TRY(prep::EncodedPair pair, tokenizer->join(asked, std::span(located.ids).subspan(w.begin, w.size)));
    parts.push_back({std::move(pair), w});
  }
  for (const Part& part : parts) inputs.push_back({part.pair.ids, part.pair.types});
  MIAO_TRY(const Encoded rows, encoder.run(inputs, options.cancel));

  Answers out;
  out.none = 1;
  const auto most = static_cast<size_t>(options.most_tokens);
  for (size_t p = 0; p < parts.size(); ++p) {
    const Window w = parts[p].window;
    const Ends begin(rows, p, parts[p], 0), end(rows, p, parts[p], 1);
    out.none = std::min(out.none, static_cast<float>(begin.front * end.front));
    for (size_t b = 0; b < w.size; ++b) {
      for (size_t e = b; e < std::min(w.size, b + most); ++e) {
        const prep::ByteRange range =
            without_blanks(text, {located.ranges[w.begin + b].begin, located.ranges[w.begin + e].end});
        if (!range.empty()) out.best.push_back({static_cast<float>(begin.text[b] * end.text[e]), range});
      }
    }
    keep_best(out.best, options.count);
  }
  return out;
}

}  // namespace miao::runtime
