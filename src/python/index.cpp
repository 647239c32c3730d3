// Model.index and Index.search: what `miao search` does, with the same files.
#include "python/index.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>

#include "python/bind.h"
#include "python/convert.h"
#include "runtime/embed.h"

namespace miao::python {

namespace {

using namespace nb::literals;

search::Split to_split(const std::string& name) {
  using search::Split;
  if (name == "auto") return Split::automatic;
  if (name == "lines") return Split::lines;
  if (name == "paragraphs") return Split::paragraphs;
  if (name == "json") return Split::json;
  raise({Code::invalid, "is '" + name + "'; choose auto, lines, paragraphs or json", "split"});
}

bool is_path(nb::handle object) {
  return PyUnicode_Check(object.ptr()) || PyBytes_Check(object.ptr()) || nb::hasattr(object, "__fspath__");
}

std::vector<std::string> to_paths(nb::handle object) {
  if (object.is_none()) return {};
  if (is_path(object)) return {to_path(object).string()};
  if (!nb::hasattr(object, "__iter__")) raise_type_error("paths must be a path or a list of them");
  std::vector<std::string> out;
  for (const nb::handle path : object) out.push_back(to_path(path).string());
  return out;
}

// Texts in memory are lines of JSON, so that they may have fields: str, or dicts that have the field.
std::string to_json_lines(nb::handle object, const std::string& field) {
  if (PyUnicode_Check(object.ptr()) || PyDict_Check(object.ptr()) || !nb::hasattr(object, "__iter__")) {
    raise_type_error("texts must be a list of str or dict");
  }
  std::string out;
  size_t count = 0;
  for (const nb::handle text : object) {
    const std::string what = item_name("texts", count++, false);
    nb::dict line;
    if (PyDict_Check(text.ptr())) {
      line = nb::borrow<nb::dict>(text);
      if (!line.contains(to_str(field))) raise({Code::invalid, "has no '" + field + "'", what});
    } else {
      line[to_str(field)] = to_str(to_text(text, what));
    }
    out += to_json(line) + "\n";
  }
  return out;
}

struct Arguments {
  nb::object paths, texts;
  std::string split, field;
  nb::object file, passage, prompt;
};

std::unique_ptr<Index> index(const Model& self, const Arguments& a) {
  self.with("index");
  const search::ReadOptions read{to_split(a.split), a.field};
  const std::vector<std::string> paths = to_paths(a.paths);
  const std::string lines = a.texts.is_none() ? "" : to_json_lines(a.texts, a.field);
  if (paths.empty() && lines.empty()) raise({Code::invalid, "is empty: give paths or texts", "paths"});
  search::IndexOptions options{.passage = to_integer(a.passage, "passage", 16, int64_t{1} << 20)};
  if (!a.file.is_none()) options.file = to_path(a.file);
  if (!a.prompt.is_none()) options.prompt = to_text(a.prompt, "prompt");
  search::Index made = self.compute([&](Session& session, Cancel cancel) -> Result<search::Index> {
    options.cancel = cancel;
    std::vector<search::Source> sources;
    if (!paths.empty()) {
      MIAO_TRY(sources, search::read_sources(paths, read));
    }
    if (!lines.empty()) {
      MIAO_TRY(search::Source source, search::make_source("texts", lines, {search::Split::json, a.field}));
      sources.push_back(std::move(source));
    }
    MIAO_TRY(runtime::Encoder* const encoder, session.encoder(models::Rows::sentence, cancel));
    return search::Index::open(*encoder, std::move(sources), options);
  });
  return std::make_unique<Index>(self, std::move(made));
}

nb::list to_python(const std::vector<search::Found>& found) {
  const nb::object type = nb::module_::import_("miao.results").attr("Hit");
  const nb::object parse = nb::module_::import_("json").attr("loads");
  nb::list out;
  for (const search::Found& f : found) {
    const nb::object fields = f.fields.empty() ? nb::object(nb::dict()) : parse(to_str(f.fields));
    out.append(type(f.score, to_str(f.source), f.line, to_str(f.text), fields));
  }
  return out;
}

nb::list search(const Index& self, const std::vector<std::string>& queries, bool only, nb::handle top, bool exact,
                nb::handle prompt) {
  for (size_t i = 0; i < queries.size(); ++i) {
    if (queries[i].find_first_not_of(" \t\r\n") != std::string::npos) continue;
    raise({Code::invalid, "is empty", item_name("queries", i, only)});
  }
  std::optional<std::string> own;
  if (!prompt.is_none()) own = to_text(prompt, "prompt");
  const auto count = static_cast<size_t>(to_integer(top, "top", 1, 100000));
  nb::list out;
  for (const auto& found : self.search(queries, count, exact, own)) out.append(to_python(found));
  return out;
}

#define SEARCH(queries, result)                                                 \
  nb::sig("def search(self, queries: " queries                                  \
          ", *, top: int = 5, exact: bool = False, prompt: str | None = None) " \
          "-> " result)

}  // namespace

std::vector<std::vector<search::Found>> Index::search(const std::vector<std::string>& queries, size_t top, bool exact,
                                                      const std::optional<std::string>& prompt) const {
  using Hits = std::vector<std::vector<search::Found>>;
  const auto method = exact ? search::Method::exact : search::Method::approximate;
  return model_.compute([&](Session& session, Cancel cancel) -> Result<Hits> {
    Hits out;
    if (queries.empty()) return out;
    MIAO_TRY(runtime::Encoder* const encoder, session.encoder(models::Rows::sentence, cancel));
    const std::string before = prompt ? *prompt : search::query_prompt(*encoder);
    MIAO_TRY(const std::vector<float> vectors, runtime::embed(*encoder, queries, {.prompt = before, .cancel = cancel}));
    const size_t dim = vectors.size() / queries.size();
    for (size_t i = 0; i < queries.size(); ++i) {
      MIAO_TRY(out.emplace_back(), index_.find(std::span(vectors).subspan(i * dim, dim), top, method));
    }
    return out;
  });
}

void bind_search(nb::module_& module) {
  nb::class_<Index>(module, "Index",
                    "Documents that can be searched by meaning; Model.index() makes them.\n\nIt keeps its model.")
      .def(
          "search",
          [](const Index& self, nb::str queries, nb::object top, bool exact, nb::object prompt) {
            return nb::object(search(self, {to_text(queries, "queries")}, true, top, exact, prompt)[0]);
          },
          "queries"_a, nb::kw_only(), "top"_a = 5, "exact"_a = false, "prompt"_a = nb::none(),
          SEARCH("str", "list[miao.results.Hit]"),
          "The passages nearest to a query, at most one of each document, best first: Hits with score (the cosine), "
          "file, line, text and fields; of a list of queries a list of such lists.\n\n"
          "top: so many at most.\n"
          "exact: compares with every passage, also where `approximate` says that it need not.\n"
          "prompt: put before each query; None = the one that the model's files have for queries.")
      .def(
          "search",
          [](const Index& self, nb::object queries, nb::object top, bool exact, nb::object prompt) {
            return search(self, to_texts(queries, "queries"), false, top, exact, prompt);
          },
          "queries"_a, nb::kw_only(), "top"_a = 5, "exact"_a = false, "prompt"_a = nb::none(),
          SEARCH("collections.abc.Iterable[str]", "list[list[miao.results.Hit]]"))
      .def_prop_ro(
          "passages", [](const Index& self) { return self.index().report().passages; }, "Parts that are searched.")
      .def_prop_ro(
          "embedded", [](const Index& self) { return self.index().report().embedded; },
          "Texts whose vectors were computed; the others were in the file.")
      .def_prop_ro(
          "approximate", [](const Index& self) { return self.index().approximate(); },
          "Whether search is approximate, as from 10,000 passages on, unless it is asked to be exact.");
}

void bind_index(ModelClass& model) {
  model.def(
      "index",
      [](const Model& self, nb::object paths, nb::object texts, const std::string& split, const std::string& field,
         nb::object file, nb::object passage, nb::object prompt) {
        return index(self, {paths, texts, split, field, file, passage, prompt});
      },
      "paths"_a = nb::none(), nb::kw_only(), "texts"_a = nb::none(), "split"_a = "auto", "field"_a = "text",
      "file"_a = nb::none(), "passage"_a = 256, "prompt"_a = nb::none(),
      "An Index of documents, to be searched by meaning.\n\n"
      "paths: files, and folders with their .txt and .md files. What a document is, split says: 'lines', 'paragraphs', "
      "or 'json', an object a line; 'auto' = json for .jsonl, paragraphs for .md and for files in folders, else "
      "lines.\n"
      "texts: documents in memory: str, or dicts that come back as the fields of a Hit; their file is 'texts', and "
      "their line counts from 1.\n"
      "field: of dicts and of lines of JSON, the one that holds the text.\n"
      "file: where the vectors are kept, as `miao search --index` keeps them: only what is new or changed is computed "
      "again. None = nowhere.\n"
      "passage: tokens that are searched as one; longer documents are split at sentences, with some overlap.\n"
      "prompt: put before each passage; None = the one that the model's files have for documents.",
      nb::sig("def index(self, paths: str | os.PathLike[str] | collections.abc.Iterable[str | os.PathLike[str]] | None "
              "= None, *, texts: collections.abc.Iterable[str | dict[str, typing.Any]] | None = None, split: "
              "typing.Literal['auto', 'lines', 'paragraphs', 'json'] = 'auto', field: str = 'text', file: str | "
              "os.PathLike[str] | None = None, passage: int = 256, prompt: str | None = None) -> Index"));
}

}  // namespace miao::python
