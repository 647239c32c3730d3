// Standard output: with --json one object; else an answer a line, with --best each with its score in front.
#include "cli/seq2seq/answers.h"

#include <unistd.h>

#include <cstdio>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/chat/line_editor.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "runtime/seq2seq.h"

namespace miao::cli {

namespace {

Result<runtime::Seq2SeqOptions> options_of(const AnswerOptions& o, const runtime::Engine& engine) {
  MIAO_TRY(runtime::Seq2SeqOptions options, runtime::seq2seq_defaults(engine));
  o.search.apply(options.beam);
  const runtime::SamplerOptions greedy{.temperature = 0};
  const runtime::SamplerOptions sampling = o.sampling.over(greedy);
  if (!sampling.greedy()) {
    if (o.search.beams.value_or(1) > 1 || o.search.best > 1) {
      return Error{Code::invalid, "sampling and --beams or --best exclude each other", "--temperature"};
    }
    options.beam.beams = 1;
    options.beam.sampling = sampling;
  }
  if (o.max_tokens > 0) options.beam.max_tokens = o.max_tokens;
  options.prefix = o.search.prefix;
  options.source = o.search.source;
  options.target = o.search.target;
  options.truncate = o.truncate;
  options.cancel = &interrupted();
  return options;
}

std::string score_of(double score) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", score);
  return text;
}

Json to_json(const runtime::Seq2SeqAnswer& answer) {
  Json out;
  out["text"] = answer.text;
  out["score"] = answer.score;
  out["tokens"] = answer.tokens;
  return out;
}

// The best answers of the texts that have one, as --explain shows them; in a page where a file is wanted.
Result<void> explain_answers(const AnswerOptions& o, runtime::Engine& engine, const runtime::Seq2SeqOptions& options,
                             const std::vector<Result<runtime::Seq2SeqAnswers>>& results, Json* json) {
  MIAO_TRY(const prep::Tokenizer* const tokenizer, engine.tokenizer());
  const prep::Tokenizer writer = tokenizer->target();
  std::string body;
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].ok() || results[i]->empty()) continue;
    const std::vector<int32_t>& answer = results[i]->front().tokens;
    MIAO_TRY(const Likelihoods found, runtime::answer_likelihoods(engine, o.texts[i], answer, options, kExplainBest));
    if (json) (*json)[i]["answers"][0]["likelihood"] = likelihood_json(writer, found);
    if (!o.explain.file.empty()) {
      body += likelihood_html(writer, found, o.texts[i]);
    } else if (!json) {
      out().line("");
      out().write(likelihood_text(writer, found));
    }
  }
  return o.explain.file.empty() ? Result<void>() : write_likelihood_page(o.explain.file, o.model, body);
}

// Returns the number of texts that have no answer.
size_t print(const AnswerOptions& o, const std::vector<Result<runtime::Seq2SeqAnswers>>& results, Json* json) {
  size_t failed = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].ok()) {
      ++failed;
      const Error error = Error(results[i].error()).at("text " + std::to_string(i + 1));
      log_error(error.str());
      if (json) json->push_back(Json{{"error", error.str()}});
      if (!json) out().line("");  // answers stand in the lines of their texts
      continue;
    }
    Json entry = json ? Json{{"answers", Json::array()}} : Json();
    for (const runtime::Seq2SeqAnswer& answer : *results[i]) {
      if (json) {
        entry["answers"].push_back(to_json(answer));
      } else {
        out().line(o.search.best > 1 ? score_of(answer.score) + "\t" + answer.text : answer.text);
      }
    }
    if (json) json->push_back(std::move(entry));
  }
  return failed;
}

}  // namespace

Result<int> run_seq2seq(const AnswerOptions& o, const Common& common, const std::filesystem::path& path) {
  MIAO_TRY(const auto engine, open_engine(path, o.engine.options()));
  MIAO_TRY(const runtime::Seq2SeqOptions options, options_of(o, *engine));
  const double start = now_seconds();
  MIAO_TRY(const auto results, runtime::seq2seq(*engine, o.texts, options));
  const double seconds = now_seconds() - start;
  int64_t tokens = 0;
  for (const auto& answers : results) {
    if (answers.ok() && !answers->empty()) tokens += static_cast<int64_t>(answers->front().tokens.size());
  }
  size_t failed = 0;
  if (common.json) {
    Json object;
    object["model"] = o.model;
    object["isa"] = engine->isa();
    object["threads"] = engine->pool().threads();
    object["beams"] = options.beam.beams;
    Json entries = Json::array();
    failed = print(o, results, &entries);
    if (o.explain.wanted) MIAO_CHECK_OK(explain_answers(o, *engine, options, results, &entries));
    object["results"] = std::move(entries);
    object["tokens"] = tokens;
    object["seconds"] = seconds;
    out().line(dump_json(object));
  } else {
    failed = print(o, results, nullptr);
    if (o.explain.wanted) MIAO_CHECK_OK(explain_answers(o, *engine, options, results, nullptr));
    if (!common.quiet) {
      char line[160];
      std::snprintf(line, sizeof line, "%zu %s, %lld tokens in %.2f s, %lld %s, load %.2f s", o.texts.size(),
                    o.texts.size() == 1 ? "text" : "texts", static_cast<long long>(tokens), seconds,
                    static_cast<long long>(options.beam.beams), options.beam.beams == 1 ? "beam" : "beams",
                    engine->load_seconds());
      std::fprintf(stderr, "%s\n", Style(STDERR_FILENO).dim(line).c_str());
    }
  }
  return static_cast<int>(failed > 0 ? kFailed : kOk);
}

Result<int> run_seq2seq_session(const AnswerOptions& o, const std::filesystem::path& path,
                                const std::filesystem::path& history) {
  MIAO_TRY(const auto engine, open_engine(path, o.engine.options()));
  MIAO_TRY(const runtime::Seq2SeqOptions options, options_of(o, *engine));
  MIAO_TRY(LineEditor editor, LineEditor::open(history));
  std::string text;
  for (;;) {
    const LineEditor::Got got = editor.read(text);
    if (got == LineEditor::Got::end) break;
    if (got == LineEditor::Got::interrupted || text.empty()) continue;
    MIAO_TRY(const auto results, runtime::seq2seq(*engine, std::span(&text, 1), options));
    print(o, results, nullptr);
  }
  if (const auto saved = editor.save(); !saved.ok()) log_warn(saved.error().str());
  return static_cast<int>(kOk);
}

}  // namespace miao::cli
