#include "python/seq2seq.h"

#include <algorithm>

namespace miao::python {

namespace {

Completion to_completion(runtime::Seq2SeqAnswer&& answer, size_t prompt, const runtime::Seq2SeqOptions& options) {
  Completion out;
  out.text = std::move(answer.text);
  out.tokens = std::move(answer.tokens);
  out.score = answer.score;
  out.stats.prompt_tokens = static_cast<int64_t>(prompt);
  out.stats.new_tokens = static_cast<int64_t>(out.tokens.size());
  out.seed = options.beam.sampling ? options.beam.sampling->seed.value_or(0) : 0;
  const std::vector<int32_t>& ends = options.beam.ends;
  const bool ended = !out.tokens.empty() && std::find(ends.begin(), ends.end(), out.tokens.back()) != ends.end();
  out.reason = ended ? runtime::StopReason::end_of_text : runtime::StopReason::max_tokens;
  if (ended) out.tokens.pop_back();
  return out;
}

}  // namespace

std::vector<int32_t> input_ids(const Session& session, const std::string& text, const std::string& what,
                               const runtime::Seq2SeqOptions& options) {
  auto input = runtime::seq2seq_input(session.engine(), text, options);
  if (!input.ok()) raise(std::move(input.error()).at(what));
  return std::move(input->ids);
}

std::vector<Completion> complete(const Model& model, const std::vector<std::vector<int32_t>>& inputs,
                                 runtime::Seq2SeqOptions options) {
  std::vector<runtime::Seq2SeqAnswers> found = model.compute([&](Session& session, Cancel cancel) {
    options.cancel = cancel;
    return runtime::seq2seq(session.engine(), inputs, options);
  });
  std::vector<Completion> out;
  for (size_t i = 0; i < found.size(); ++i) {
    Completion best;
    for (size_t n = 0; n < found[i].size(); ++n) {
      Completion one = to_completion(std::move(found[i][n]), inputs[i].size(), options);
      if (n == 0) {
        best = std::move(one);
      } else {
        best.alternatives.push_back(std::move(one));
      }
    }
    out.push_back(std::move(best));
  }
  return out;
}

}  // namespace miao::python
