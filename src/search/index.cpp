// See index.h.
#include "search/index.h"

#include <algorithm>
#include <set>

#include "base/checksum.h"
#include "base/file.h"
#include "models/spec.h"
#include "runtime/embed.h"

namespace miao::search {

namespace fs = std::filesystem;

namespace {

// A text of several scripts. What a model makes of it, bit for bit, tells it from others: results do not depend on the
// machine, so an index can be taken along, and a changed weight, format or prompt does not go unseen.
constexpr const char* kProbe =
    "The quick brown fox, 1984: \xc3\xbc"
    "ber \xd1\x81\xd0\xbe\xd0\xb1\xd0\xb0\xd0\xba\xd0\xb0 \xe7\x8b\x90\xe7\x8b\xb8 "
    "\xd8\xab\xd8\xb9\xd9\x84\xd8\xa8 x = f(y[0]) + 2.5e-3;";

Result<void> check_file(const fs::path& path) {
  if (path.empty()) return {};
  MIAO_CHECK_OK(replaceable(path));
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  std::error_code ignored;
  if (fs::is_directory(folder, ignored)) return {};
  return Error{Code::not_found, "cannot keep the index: there is no folder " + folder.string(), path.string()};
}

}  // namespace

Result<void> require_embeddings(const runtime::Encoder& encoder) {
  if (encoder.spec().head.task == models::HeadSpec::Task::embedding) return {};
  return Error{Code::unsupported, "this model gives no vectors of texts; search with one that does, as minilm is",
               encoder.checkpoint().path().string()};
}

struct Index::State {
  Store store;
  std::vector<Source> sources;
  IndexReport report;
  // The passages that have each row: numbers of source and passage, from first[row] on.
  std::vector<size_t> first;
  std::vector<std::pair<size_t, size_t>> owners;

  void find_owners();
  Result<Found> found(size_t source, const Passage& passage, float score) const;
};

void Index::State::find_owners() {
  first.assign(store.hashes.size() + 1, 0);
  for (const SourceEntry& s : store.sources) {
    for (const Passage& p : s.passages) ++first[p.row + 1];
  }
  for (size_t row = 1; row < first.size(); ++row) first[row] += first[row - 1];
  owners.resize(first.back());
  std::vector<size_t> next = first;
  for (size_t s = 0; s < store.sources.size(); ++s) {
    const auto& passages = store.sources[s].passages;
    for (size_t p = 0; p < passages.size(); ++p) owners[next[passages[p].row]++] = {s, p};
  }
}

Result<Found> Index::State::found(size_t source, const Passage& p, float score) const {
  const Source& from = sources[source];
  const Document document{p.begin, p.end, p.line};
  MIAO_TRY(const std::string text, text_of(from, document));
  Found out{.score = score, .source = from.name, .line = p.line, .text = {}, .fields = fields_of(from, document)};
  const size_t begin = std::min<size_t>(p.from, text.size());
  out.text = text.substr(begin, p.to - p.from);
  if (from.split != Split::json) {
    out.line += static_cast<uint32_t>(std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(begin), '\n'));
  }
  return out;
}

Index::Index(std::unique_ptr<State> state) : state_(std::move(state)) {}
Index::Index(Index&&) noexcept = default;
Index& Index::operator=(Index&&) noexcept = default;
Index::~Index() = default;

Result<std::string> Index::key(runtime::Encoder& encoder, const std::optional<std::string>& prompt) {
  MIAO_CHECK_OK(require_embeddings(encoder));
  const std::string probe = kProbe;
  MIAO_TRY(
      const std::vector<float> vector,
      runtime::embed(encoder, {&probe, 1}, {.prompt = prompt ? *prompt : document_prompt(encoder), .truncate = true}));
  return fingerprint({reinterpret_cast<const char*>(vector.data()), vector.size() * sizeof(float)});
}

Result<Index> Index::open(runtime::Encoder& encoder, std::vector<Source> sources, const IndexOptions& options) {
  MIAO_CHECK_OK(check_file(options.file));
  MIAO_TRY(const std::string name, key(encoder, options.prompt));
  const int64_t dim = encoder.spec().dim;
  Store store{VectorIndex(dim), name, {}, {}};
  if (!options.file.empty()) {
    MIAO_TRY(store, Store::load(options.file, name, dim));
  }
  MIAO_TRY(const IndexReport report, update(store, encoder, sources, options));
  auto state = std::make_unique<State>(State{std::move(store), std::move(sources), report, {}, {}});
  state->find_owners();
  return Index(std::move(state));
}

const IndexReport& Index::report() const { return state_->report; }
bool Index::approximate() const { return state_->store.vectors.connected(); }

Result<std::vector<Found>> Index::find(std::span<const float> query, size_t count, Method method) const {
  const State& s = *state_;
  const auto rows = static_cast<size_t>(s.store.vectors.rows());
  // Rows without a passage, and further passages of a document, give no result: then more rows are asked for.
  for (size_t asked = std::min(2 * count, rows);; asked = std::min(4 * asked, rows)) {
    MIAO_TRY(const std::vector<Hit> hits, s.store.vectors.query(query, asked, method));
    std::vector<Found> out;
    std::set<std::pair<size_t, uint32_t>> seen;  // source, begin of the document
    for (const Hit& hit : hits) {
      const auto row = static_cast<size_t>(hit.row);
      for (size_t i = s.first[row]; i < s.first[row + 1] && out.size() < count; ++i) {
        const auto [source, number] = s.owners[i];
        const Passage& passage = s.store.sources[source].passages[number];
        if (!seen.emplace(source, passage.begin).second) continue;
        MIAO_TRY(Found found, s.found(source, passage, hit.score));
        out.push_back(std::move(found));
      }
    }
    if (out.size() == count || hits.size() == rows || asked == rows) return out;
  }
}

}  // namespace miao::search
