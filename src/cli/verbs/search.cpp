// miao search: documents by meaning.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "base/checksum.h"
#include "base/clock.h"
#include "base/log.h"
#include "cli/app.h"
#include "cli/chat/line_editor.h"
#include "cli/checks.h"
#include "cli/engine_flags.h"
#include "cli/interrupt.h"
#include "cli/model.h"
#include "cli/output.h"
#include "cli/search/results.h"
#include "cli/terminal.h"
#include "cli/verb.h"
#include "io/hub.h"
#include "runtime/embed.h"
#include "search/index.h"

namespace miao::cli {

namespace fs = std::filesystem;

extern const Verb verb_search;

namespace {

struct Options {
  ModelArgument model;
  std::vector<std::string> queries, documents;
  std::string split = "auto", field = "text", index;
  std::string query_prompt, document_prompt;
  bool own_query_prompt = false, own_document_prompt = false;
  int64_t passage = 256;
  size_t top = 5;
  bool exact = false, no_index = false;
  EngineFlags engine;
};

search::ReadOptions read_options(const Options& o) {
  using search::Split;
  const Split split = o.split == "lines"        ? Split::lines
                      : o.split == "paragraphs" ? Split::paragraphs
                      : o.split == "json"       ? Split::json
                                                : Split::automatic;
  return {split, o.field};
}

bool piped(const Options& o) { return std::find(o.documents.begin(), o.documents.end(), "-") != o.documents.end(); }

Result<std::vector<search::Source>> read_documents(const Options& o) {
  std::vector<search::Source> out;
  for (const std::string& path : o.documents) {
    if (path == "-") {
      MIAO_TRY(std::string text, read_input("-", size_t{1} << 30));
      MIAO_TRY(search::Source source, search::make_source("stdin", std::move(text), read_options(o)));
      out.push_back(std::move(source));
    } else {
      MIAO_TRY(std::vector<search::Source> sources, search::read_sources({&path, 1}, read_options(o)));
      std::move(sources.begin(), sources.end(), std::back_inserter(out));
    }
  }
  return out;
}

// A file for each model and set of documents: documents that change keep theirs, and with it what has not changed.
Result<fs::path> index_file(const Options& o, const std::string& key) {
  if (o.no_index) return fs::path();
  if (!o.index.empty()) return fs::path(o.index);
  std::string name = key;
  for (const std::string& path : o.documents) {
    std::error_code ignored;
    const fs::path whole = fs::weakly_canonical(path, ignored);
    name += '\n' + (ignored || path == "-" ? path : whole.string());
  }
  const fs::path folder = io::indexes_folder();
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) {
    log_warn(folder.string() + ": cannot keep the search index here: " + error.message());
    return fs::path();
  }
  return folder / (fingerprint(name) + search::Store::kExtension);
}

Result<std::unique_ptr<runtime::Encoder>> open_encoder(const Options& o, const Common& common) {
  MIAO_TRY(const fs::path path, find_model(o.model, common));
  MIAO_TRY(const models::ModelSpec::Shape shape, runtime::model_shape(path));
  if (shape != models::ModelSpec::Shape::encoder) {
    return Error{Code::unsupported, "this model writes text; search takes one for sentence embeddings, as minilm is",
                 path.string()};
  }
  runtime::EncoderOptions options;
  options.threads = o.engine.threads;
  options.compute = o.engine.options().compute;
  options.ctx = o.engine.ctx;
  options.packs = o.engine.options().packs;
  options.cancel = &interrupted();
  MIAO_TRY(auto encoder, runtime::Encoder::open(path, options));
  MIAO_CHECK_OK(search::require_embeddings(*encoder));
  return encoder;
}

class Search {
 public:
  Search(const Options& o, const Common& common, runtime::Encoder& encoder, const search::Index& index)
      : o_(o), common_(common), encoder_(encoder), index_(index) {}

  Result<void> answer(std::span<const std::string> queries) const {
    const std::string prompt = o_.own_query_prompt ? o_.query_prompt : search::query_prompt(encoder_);
    const bool approximate = index_.approximate() && !o_.exact;
    const auto method = approximate ? search::Method::approximate : search::Method::exact;
    for (const std::string& query : queries) {
      const double start = now_seconds();
      auto vector = runtime::embed(encoder_, {&query, 1}, {.prompt = prompt, .cancel = &interrupted()});
      if (!vector.ok()) {
        vector.error().where = "query '" + shorten(query, kShownQuery) + "'";
        return vector.error();
      }
      MIAO_TRY(const auto found, index_.find(*vector, o_.top, method));
      if (queries.size() > 1 && !common_.json) {
        out().line((&query == queries.data() ? "" : "\n") + printable(query));
      }
      show(query, found, approximate, now_seconds() - start);
      MIAO_CHECK_OK(out().flush());
    }
    return {};
  }

 private:
  static constexpr size_t kShownQuery = 40;  // columns in an error

  void show(const std::string& query, std::span<const search::Found> found, bool approximate, double seconds) const {
    if (common_.json) return out().line(results_json(query, found, approximate));
    out().write(results_table(found));
    if (common_.quiet) return;
    const std::string line =
        fmt::format("{} of {} passages, {} search, {:.1f} ms", found.size(), grouped(index_.report().passages),
                    approximate ? "approximate" : "exact", 1000 * seconds);
    if (!out().flush().ok()) return;  // told at the end
    fmt::print(stderr, "{}\n", Style(STDERR_FILENO).dim(line));
  }

  const Options& o_;
  const Common& common_;
  runtime::Encoder& encoder_;
  const search::Index& index_;
};

std::vector<std::string> queries_of(std::string_view input) {
  std::vector<std::string> out;
  for (size_t at = 0; at < input.size();) {
    const size_t end = std::min(input.find('\n', at), input.size());
    std::string line(input.substr(at, end - at));
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) out.push_back(std::move(line));
    at = end + 1;
  }
  return out;
}

// Until Ctrl-D or Ctrl-C. What is wrong with one query is shown, and the next can be typed.
Result<int> converse(const Search& search) {
  MIAO_TRY(LineEditor editor, LineEditor::open({}));
  std::string line;
  for (LineEditor::Got got; (got = editor.read(line)) != LineEditor::Got::end;) {
    if (got == LineEditor::Got::interrupted || interrupted()) return static_cast<int>(kInterrupted);
    const std::vector<std::string> queries = queries_of(line);
    if (const auto answered = search.answer(queries); !answered.ok()) print_error(answered.error());
  }
  return static_cast<int>(kOk);
}

Result<int> run(const Options& o, const Common& common) {
  const bool terminal = is_tty(STDIN_FILENO);
  if (piped(o) && (o.queries.empty() || std::count(o.documents.begin(), o.documents.end(), "-") > 1)) {
    return usage_error(verb_search, "--docs - reads the documents from standard input: give the queries as arguments");
  }
  const bool interactive = o.queries.empty() && terminal;
  if (interactive && common.json) return usage_error(verb_search, "--json needs a query");
  std::vector<std::string> queries = o.queries;
  if (queries.empty() && !interactive) {
    MIAO_TRY(const std::string input, read_input("-"));
    queries = queries_of(input);
  }
  for (const std::string& query : queries) {
    if (query.find_first_not_of(" \t\r\n") == std::string::npos) return usage_error(verb_search, "a query is empty");
  }
  MIAO_TRY(std::vector<search::Source> sources, read_documents(o));
  MIAO_TRY(const auto encoder, open_encoder(o, common));
  search::IndexOptions options{.passage = o.passage, .cancel = &interrupted()};
  if (o.own_document_prompt) options.prompt = o.document_prompt;
  MIAO_TRY(const std::string key, search::Index::key(*encoder, options.prompt));
  MIAO_TRY(options.file, index_file(o, key));
  ProgressBar bar(common.quiet);
  options.progress = [&](const char* what, uint64_t done, uint64_t total) { bar.update(what, done, total); };
  const double start = now_seconds();
  MIAO_TRY(const search::Index index, search::Index::open(*encoder, std::move(sources), options));
  bar.end();
  const search::IndexReport& report = index.report();
  const std::string summary = fmt::format("{} passages, {} embedded now, {:.1f} s", grouped(report.passages),
                                          grouped(report.embedded), now_seconds() - start);
  if (report.embedded > 0 && !common.quiet) fmt::print(stderr, "{}\n", Style(STDERR_FILENO).dim(summary));
  const Search search(o, common, *encoder, index);
  if (interactive) return converse(search);
  MIAO_CHECK_OK(search.answer(queries));
  return static_cast<int>(kOk);
}

Run add(CLI::App& app, const Common& common) {
  auto o = std::make_shared<Options>();
  add_model_argument(app, o->model);
  app.add_option("query", o->queries,
                 "What to look for; none reads a query a line of standard input, or asks at a terminal");
  app.add_option("-d,--docs", o->documents,
                 "Documents: a file, a folder (its .txt and .md files), or - for standard input; may be repeated")
      ->required()
      ->allow_extra_args(false)
      ->type_name("PATH");
  app.add_option("--split", o->split,
                 "What a document is: lines, paragraphs, or json: an object a line. auto = json for .jsonl, paragraphs "
                 "for .md and for files in folders, else lines")
      ->check(CLI::IsMember({"auto", "lines", "paragraphs", "json"}))
      ->type_name("HOW");
  app.add_option("--field", o->field, "The field of JSON lines that holds the text")
      ->check(not_empty())
      ->type_name("NAME");
  app.add_option("--passage", o->passage,
                 "Tokens that are searched as one; longer documents are split at sentences, with some overlap")
      ->check(CLI::Range(int64_t{16}, int64_t{1} << 20))
      ->type_name("N");
  app.add_option("-k,--top", o->top, "Results of a query at most")->check(CLI::Range(1, 100000))->type_name("N");
  app.add_flag("--exact", o->exact, "Compares a query with every passage, however many there are");
  auto* const index = app.add_option("--index", o->index, "File in which to keep the index, instead of the cache")
                          ->check(not_empty())
                          ->type_name("FILE");
  app.add_flag("--no-index", o->no_index, "Keeps no index and uses none")->excludes(index);
  const auto prompt = [&](const char* flag, std::string& text, bool& own, const char* what) {
    app.add_option_function<std::string>(
           flag,
           [&text, &own](const std::string& value) {
             text = value;
             own = true;
           },
           what)
        ->type_name("TEXT");
  };
  prompt("--query-prompt", o->query_prompt, o->own_query_prompt, "Put before each query, instead of the model's own");
  prompt("--doc-prompt", o->document_prompt, o->own_document_prompt,
         "Put before each passage, instead of the model's own");
  add_engine_flags(app, o->engine);
  for (const char* name : {"--kv", "--chunk"}) app.remove_option(app.get_option(name));  // of models that write
  return [o, &common] { return run(*o, common); };
}

}  // namespace

const Verb verb_search = {
    .name = "search",
    .group = "Use models",
    .summary = "Search documents by meaning",
    .details =
        "Splits documents into passages, computes a vector of each with a model for sentence embeddings, and shows "
        "those "
        "nearest to a query: at most one passage of each document, by the cosine of the angle.\n\n"
        "The vectors are kept in an index, so only text that is new or changed is computed again; what an interrupted "
        "call has computed is kept too. From 10,000 passages on, search is approximate: it finds more than nineteen of "
        "twenty that exact search finds; --exact finds all.",
    .examples =
        "miao search minilm --docs notes.txt \"how do I reset the clock\"   # a document a line\n"
        "miao search minilm --docs docs/ < questions.txt                   # a query a line\n"
        "miao search minilm --docs faq.jsonl --field answer -k 3 \"refunds\" --json\n"
        "miao search minilm --docs book.md                                 # asks at the terminal",
    .json = true,
    .add = add,
};

}  // namespace miao::cli
