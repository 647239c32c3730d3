// See update.h. Rows of the vectors are texts, each once, however many passages have it. Texts are told apart by 64
// bits of hash: among a million passages two differing ones share theirs with a chance of 3 in a hundred million.
#include "search/update.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "base/checksum.h"
#include "base/clock.h"
#include "base/log.h"
#include "models/spec.h"
#include "prep/tokenizer.h"
#include "runtime/embed.h"
#include "search/passages.h"

namespace miao::search {

namespace {

constexpr int kSplitVersion = 1;      // of what find_documents() and split_text() give
constexpr size_t kBatch = 64;         // texts embedded together
constexpr int64_t kOverlap = 8;       // passages repeat this part of a passage
constexpr int64_t kLeastPassage = 8;  // tokens

uint64_t hash_of(std::string_view text) { return checksum(std::as_bytes(std::span(text))); }

std::string named_prompt(const runtime::Encoder& encoder, std::initializer_list<const char*> names) {
  const auto& sentence = encoder.spec().sentence;
  if (!sentence) return {};
  std::vector<std::string> wanted(names.begin(), names.end());
  wanted.push_back(sentence->default_prompt);
  for (const std::string& name : wanted) {
    for (const auto& [key, text] : sentence->prompts) {
      if (key == name) return text;
    }
  }
  return {};
}

class Updater {
 public:
  Updater(Store& store, runtime::Encoder& encoder, const IndexOptions& options)
      : store_(store),
        encoder_(encoder),
        options_(options),
        prompt_(options.prompt ? *options.prompt : document_prompt(encoder)) {
    for (size_t row = 0; row < store.hashes.size(); ++row) rows_.emplace(store.hashes[row], static_cast<uint32_t>(row));
    for (size_t i = 0; i < store.sources.size(); ++i) known_.emplace(store.sources[i].content, i);
  }

  Result<IndexReport> run(std::span<const Source> sources);

 private:
  Result<int64_t> tokens(std::string_view text, bool special) const;
  Result<void> set_limit();
  Result<void> read(const Source& source);
  Result<void> split(const Source& source, SourceEntry& entry);
  Result<void> embed();
  void drop_unused();
  Result<void> connect();
  void save();
  bool cancelled() const { return options_.cancel && *options_.cancel; }

  Store& store_;
  runtime::Encoder& encoder_;
  const IndexOptions& options_;
  const std::string prompt_;
  int64_t limit_ = 0;                            // tokens of a passage, without prompt and special ones
  std::unordered_map<uint64_t, uint32_t> rows_;  // of the hash of a text; of texts to be embedded too
  std::unordered_map<uint64_t, size_t> known_;   // the entry in the store's sources, by content
  std::vector<SourceEntry> entries_;             // of the sources, as they are now
  std::vector<std::string> texts_;               // to be embedded: rows behind those of the store
  bool changed_ = false, can_save_ = true;
};

Result<int64_t> Updater::tokens(std::string_view text, bool special) const {
  MIAO_TRY(const prep::Tokenizer* tokenizer, encoder_.tokenizer());
  MIAO_TRY(const std::vector<int32_t> ids, tokenizer->encode(text, {.add_special = special}));
  return static_cast<int64_t>(ids.size());
}

Result<void> Updater::set_limit() {
  MIAO_TRY(const int64_t around, tokens(prompt_, true));
  limit_ = std::min(options_.passage, runtime::text_limit(encoder_)) - around;
  if (limit_ >= kLeastPassage) return {};
  return Error{Code::invalid,
               "passages of " + std::to_string(limit_ + around) + " tokens leave no room beside the prompt and the " +
                   "model's own " + std::to_string(around) + "; make them longer",
               {}};
}

Result<void> Updater::split(const Source& source, SourceEntry& entry) {
  const auto count = [&](std::string_view text) { return tokens(text, false); };
  for (const Document& document : find_documents(source)) {
    if (cancelled()) return Error{Code::cancelled, "interrupted", {}};
    MIAO_TRY(const std::string text, text_of(source, document));
    auto parts = split_text(text, limit_, limit_ / kOverlap, count);
    if (!parts.ok()) return std::move(parts.error()).at(source.name + ":" + std::to_string(document.line));
    for (const Part& part : *parts) {
      const std::string_view words = std::string_view(text).substr(part.begin, part.end - part.begin);
      const size_t next = store_.hashes.size() + texts_.size();
      if (next >= std::numeric_limits<int32_t>::max()) {
        return Error{Code::invalid, "there are more than 2147483647 passages; search fewer documents", {}};
      }
      const auto [row, is_new] = rows_.emplace(hash_of(words), static_cast<uint32_t>(next));
      if (is_new) texts_.emplace_back(words);
      entry.passages.push_back({document.begin, document.end, document.line, static_cast<uint32_t>(part.begin),
                                static_cast<uint32_t>(part.end), row->second});
    }
  }
  return {};
}

Result<void> Updater::read(const Source& source) {
  const std::string settings = std::to_string(kSplitVersion) + "|" + std::to_string(static_cast<int>(source.split)) +
                               "|" + std::to_string(limit_) + "|" + source.field;
  SourceEntry entry{.content = hash_of(source.bytes), .settings = hash_of(settings), .passages = {}};
  const auto known = known_.find(entry.content);
  if (known != known_.end() && store_.sources[known->second].settings == entry.settings) {
    entry.passages = store_.sources[known->second].passages;
    const bool sound = std::all_of(entry.passages.begin(), entry.passages.end(),
                                   [&](const Passage& p) { return p.end <= source.bytes.size(); });
    if (!sound) entry.passages.clear();
  }
  if (entry.passages.empty()) MIAO_CHECK_OK(split(source, entry));
  entries_.push_back(std::move(entry));
  return {};
}

// Saves from time to time, and where it is interrupted: rows are worth their work whether or not it was all.
Result<void> Updater::embed() {
  uint64_t total = 0, done = 0;
  for (const std::string& text : texts_) total += text.size();
  double saved = now_seconds();
  for (size_t at = 0; at < texts_.size(); at += kBatch) {
    const auto batch = std::span(texts_).subspan(at, std::min(kBatch, texts_.size() - at));
    if (options_.progress) options_.progress("embedding", done, total);
    const auto vectors =
        runtime::embed(encoder_, batch, {.prompt = prompt_, .truncate = true, .cancel = options_.cancel});
    const Result<void> added = vectors.ok() ? store_.vectors.add(*vectors) : Result<void>(vectors.error());
    if (!added.ok()) {
      if (at > 0) save();
      Error error = added.error();
      if (error.code == Code::cancelled && can_save_ && !options_.file.empty()) {
        error.message = "interrupted; " + std::to_string(at) + " of " + std::to_string(texts_.size()) +
                        " new passages are kept, and the next call goes on from there";
      }
      return error;
    }
    for (const std::string& text : batch) {
      store_.hashes.push_back(hash_of(text));
      done += text.size();
    }
    if (now_seconds() - saved >= options_.save_seconds) {
      save();
      saved = now_seconds();
    }
  }
  if (options_.progress && total > 0) options_.progress("embedding", total, total);
  return {};
}

// Rows that no passage has. Beside a graph they may stay until they are a quarter: dropping them costs a new graph.
void Updater::drop_unused() {
  std::vector<uint32_t> number(store_.hashes.size(), 0);
  for (const SourceEntry& s : store_.sources) {
    for (const Passage& p : s.passages) number[p.row] = 1;
  }
  std::vector<int64_t> kept;
  for (size_t row = 0; row < number.size(); ++row) {
    if (number[row] == 0) continue;
    number[row] = static_cast<uint32_t>(kept.size());
    kept.push_back(static_cast<int64_t>(row));
  }
  const size_t unused = number.size() - kept.size();
  const bool large = static_cast<int64_t>(kept.size()) >= options_.exact_rows;
  if (unused == 0 || (large && unused <= number.size() / 4)) return;
  store_.vectors.keep(kept);
  for (size_t i = 0; i < kept.size(); ++i) store_.hashes[i] = store_.hashes[static_cast<size_t>(kept[i])];
  store_.hashes.resize(kept.size());
  for (SourceEntry& s : store_.sources) {
    for (Passage& p : s.passages) p.row = number[p.row];
  }
  changed_ = true;
}

Result<void> Updater::connect() {
  VectorIndex& vectors = store_.vectors;
  if (vectors.connected() || vectors.rows() < options_.exact_rows) return {};
  changed_ = true;
  const uint64_t row_bytes = static_cast<uint64_t>(vectors.dim()) * sizeof(float);
  ConnectOptions connect{.progress = {}, .cancel = options_.cancel};
  if (options_.progress) {
    connect.progress = [&](int64_t done, int64_t total) {
      options_.progress("connecting", static_cast<uint64_t>(done) * row_bytes,
                        static_cast<uint64_t>(total) * row_bytes);
    };
  }
  const auto connected = vectors.connect(connect);
  if (!connected.ok()) save();
  return connected;
}

// A file that cannot be written costs the next call time, and takes nothing from this one.
void Updater::save() {
  if (options_.file.empty() || !can_save_) return;
  const auto saved = store_.save(options_.file);
  if (saved.ok()) return;
  can_save_ = false;
  log_warn("the search index is not kept: " + saved.error().str());
}

Result<IndexReport> Updater::run(std::span<const Source> sources) {
  MIAO_CHECK_OK(set_limit());
  for (const Source& source : sources) MIAO_CHECK_OK(read(source));
  IndexReport report{.passages = 0, .embedded = texts_.size()};
  for (const SourceEntry& entry : entries_) report.passages += entry.passages.size();
  if (report.passages == 0) return Error{Code::invalid, "the documents hold no text", {}};
  MIAO_CHECK_OK(embed());
  const auto same = [](const SourceEntry& a, const SourceEntry& b) {
    return a.content == b.content && a.settings == b.settings;
  };
  changed_ = !texts_.empty() ||
             !std::equal(entries_.begin(), entries_.end(), store_.sources.begin(), store_.sources.end(), same);
  store_.sources = std::move(entries_);
  drop_unused();
  MIAO_CHECK_OK(connect());
  if (changed_) save();
  return report;
}

}  // namespace

std::string query_prompt(const runtime::Encoder& encoder) { return named_prompt(encoder, {"query"}); }
std::string document_prompt(const runtime::Encoder& encoder) {
  return named_prompt(encoder, {"document", "passage", "corpus"});
}

Result<IndexReport> update(Store& store, runtime::Encoder& encoder, std::span<const Source> sources,
                           const IndexOptions& options) {
  return Updater(store, encoder, options).run(sources);
}

}  // namespace miao::search
