// miao logits: the raw next-token scores of every position, for comparison with other engines and quality measures.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/json.h"
#include "cli/engine_flags.h"
#include "cli/ids.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "io/npy.h"

namespace miao::cli {

extern const Verb verb_logits;

namespace {

struct Options {
  ModelArgument model;
  EngineFlags engine;
  std::string ids, text, input_ids, output;
};

Result<int> run(const Options& o, const Common& common) {
  runtime::EngineOptions options = o.engine.options();
  if (o.ids.empty() && o.text.empty()) return usage_error(verb_logits, "there are no tokens; give --ids or --text");
  if (o.output == "-" && common.json)
    return usage_error(verb_logits, "--json and -o - would both go to standard output");
  if (o.output == "-" && is_tty(STDOUT_FILENO)) {
    return usage_error(verb_logits, "-o - writes an array, not text: send it to a file or a program");
  }
  std::string text;
  if (!o.text.empty()) {
    MIAO_TRY(text, read_input(o.text));
  }
  MIAO_TRY(const auto engine, open_engine(o.model, options, common));
  std::vector<int32_t> ids;
  if (!o.text.empty()) {
    MIAO_TRY(const prep::Tokenizer* tokenizer, engine->tokenizer());
    MIAO_TRY(ids, tokenizer->encode(text));
    if (ids.empty()) return Error{Code::invalid, "holds no tokens", o.text == "-" ? "standard input" : o.text};
  } else {
    auto read = parse_ids(o.ids, engine->vocab());
    if (!read.ok()) return usage_error(verb_logits, "--ids: " + read.error().message);
    ids = std::move(*read);
    if (ids.empty()) return usage_error(verb_logits, "--ids: there are no tokens");
  }
  std::vector<runtime::Sequence> memory;
  if (engine->spec().encoder && o.input_ids.empty()) {
    return usage_error(verb_logits, "this model is an encoder-decoder: give what its encoder reads with --input-ids");
  }
  if (!o.input_ids.empty()) {
    const auto& encoder = engine->spec().encoder;
    const auto input = parse_ids(o.input_ids, encoder ? encoder->vocab : engine->vocab());
    if (!input.ok()) return usage_error(verb_logits, "--input-ids: " + input.error().message);
    MIAO_TRY(memory, engine->encode({{{.ids = *input}}}, &interrupted()));
  }
  const runtime::Sequence* const read = memory.empty() ? nullptr : memory.data();
  runtime::Sequence sequence = engine->new_sequence();
  if (o.output == "-") {
    out().write(io::npy_header(static_cast<int64_t>(ids.size()), engine->vocab()));
    const auto show = [&](int64_t, const runtime::Logits& logits) -> Result<void> {
      for (int64_t i = 0; i < logits.rows(); ++i) {
        const auto bytes = std::as_bytes(logits.row(i));
        out().write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
      }
      return out().flush();
    };
    MIAO_CHECK_OK(engine->forward_all(sequence, ids, show, &interrupted(), read));
    return kOk;
  }
  MIAO_TRY(auto file, io::NpyWriter::create(o.output, engine->vocab()));
  const auto append = [&](int64_t, const runtime::Logits& logits) -> Result<void> {
    for (int64_t i = 0; i < logits.rows(); ++i) MIAO_CHECK_OK(file.append(logits.row(i)));
    return {};
  };
  MIAO_CHECK_OK(engine->forward_all(sequence, ids, append, &interrupted(), read));
  MIAO_CHECK_OK(file.finish());
  if (common.json) {
    out().line(dump_json(Json{{"output", o.output}, {"ids", ids}, {"rows", ids.size()}, {"vocab", engine->vocab()}}));
  } else {
    out().line(fmt::format("{}: {} rows of {} logits", o.output, ids.size(), engine->vocab()));
  }
  return kOk;
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  auto* ids = app.add_option("--ids", o->ids, "Token ids, separated by spaces or commas")->type_name("IDS");
  app.add_option("--text", o->text, "A file to tokenise; - is standard input")->type_name("FILE")->excludes(ids);
  app.add_option("--input-ids", o->input_ids, "What the encoder of an encoder-decoder reads")->type_name("IDS");
  app.add_option("-o,--output", o->output, "The file to write; - is standard output")
      ->required()
      ->type_name("FILE.npy");
  add_engine_flags(app, o->engine);
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_logits = {
    .name = "logits",
    .group = "Look inside",
    .summary = "Write the logits of every position of a text",
    .details =
        "Runs the tokens through the model and writes float32 scores (tokens, vocabulary) as a NumPy file. The bits of "
        "the result depend on the model, the tokens, --dtype and --kv only, not on threads, --chunk or processor.",
    .examples =
        "miao logits smollm2 --ids '1 2 3' -o logits.npy\n"
        "miao logits flan-t5 --input-ids '13 4 1' --ids '0 27' -o logits.npy\n"
        "miao logits smollm2 --text prompt.txt -o exact.npy --dtype fp32   # the reference of quality measures",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
