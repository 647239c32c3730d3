// Puts a tokenizer together; see spm_builder.h.
#include "prep/tok/spm_builder.h"

#include <algorithm>

#include "prep/tok/json_parts.h"
#include "prep/tok/loaders.h"
#include "prep/tok/unicode.h"

namespace miao::prep {

namespace {

constexpr int32_t kMaxAdded = 65536;  // ids behind the pieces
constexpr int kAll = 1000;            // blanks at an end of decoded text

std::string in_quotes(std::string_view text) { return "\"" + std::string(text.substr(0, 60)) + "\""; }

Error given_twice(int32_t id, std::string_view first, std::string_view second) {
  return {Code::corrupt,
          "the id " + std::to_string(id) + " is given to " + in_quotes(first) + " and to " + in_quotes(second)};
}

}  // namespace

void SpmBuilder::add_pieces(const SpmFile& file) {
  for (const SpmFile::Piece& piece : file.pieces) add_piece(piece.text);
}

Result<void> SpmBuilder::add_vocab(std::string_view json) {
  simdjson::dom::parser parser;
  JsonElement root;
  if (const auto error = parser.parse(json.data(), json.size()).get(root)) {
    return Error{Code::corrupt, std::string("is not valid JSON: ") + simdjson::error_message(error)};
  }
  MIAO_TRY(const JsonObject object, json_object(root, "the vocabulary"));
  int64_t count = 0;
  for ([[maybe_unused]] const auto& field : object) ++count;
  const int64_t limit = std::min<int64_t>(count * 4 + 65536, TokenizerData::kMaxVocab);  // ids may have holes, not many
  for (const auto& field : object) {
    int64_t id;
    if (field.value.get_int64().get(id) || id < 0 || id >= limit) {
      return Error{Code::corrupt,
                   "the id of " + in_quotes(field.key) + " is not a number below " + std::to_string(limit)};
    }
    if (field.key.size() > TokenizerData::kMaxTokenBytes)
      return Error{Code::corrupt, "token " + std::to_string(id) + " has too many bytes"};
    const auto at = static_cast<size_t>(id);
    if (at >= pieces_.size()) pieces_.resize(at + 1);
    if (!pieces_[at].empty()) return given_twice(static_cast<int32_t>(id), pieces_[at], field.key);
    pieces_[at] = field.key;
  }
  return {};
}

Result<void> SpmBuilder::close() {
  size_t bytes = 0;
  for (const std::string& piece : pieces_) bytes += piece.size();
  if (bytes > TokenizerData::kMaxPieceBytes) return Error{Code::corrupt, "the pieces have too many bytes"};
  data_->vocab.reserve(pieces_.size(), bytes);
  for (const std::string& piece : pieces_) data_->vocab.add(piece, !piece.empty());
  return {};
}

Result<void> SpmBuilder::use(const SpmFile& file, SpmIds ids, bool trim) {
  MIAO_TRY(data_->model, SpmModel::make(file, std::move(ids)));
  MIAO_TRY(auto normalizer, spm_normalizer(file));
  data_->normalizer.steps = {{.kind = NormalizerStep::Kind::sentencepiece, .spm = std::move(normalizer)}};
  std::vector<DecodeStep>& steps = data_->decoder.steps;
  steps = {replace_step(std::string(kMetaSpace), " ")};
  if (file.byte_fallback) steps.push_back({.kind = DecodeStep::Kind::byte_fallback});
  steps.push_back({.kind = DecodeStep::Kind::fuse});
  const int start = trim || file.remove_extra_whitespaces ? kAll : file.add_dummy_prefix ? 1 : 0;
  steps.push_back({.kind = DecodeStep::Kind::strip, .a = " ", .start = start, .stop = trim ? kAll : 0});
  return {};
}

Result<int32_t> SpmBuilder::cut_out(AddedToken token, std::optional<int32_t> id) {
  const int32_t known = find(token.content);
  token.id = known >= 0 ? known : id.value_or(data_->vocab.size());
  if (known < 0) MIAO_CHECK_OK(append(token));
  const int32_t used = token.id;
  if (cut_.find(token.content) >= 0) return used;
  cut_.add(token.content);
  added_.push_back(std::move(token));
  return used;
}

Result<std::optional<int32_t>> SpmBuilder::role(std::string_view name, std::string_view fallback) {
  const std::string text = config_.role(name, fallback);
  if (text.empty()) return std::optional<int32_t>();
  MIAO_TRY(const int32_t id, control(text));
  return std::optional(id);
}

Result<void> SpmBuilder::configured() {
  // added_tokens.json does not say which are control tokens; those that are have a role or stand in a list.
  Vocab named;
  for (const auto& [role, text] : config_.roles) named.add(text);
  for (const std::string& text : config_.additional) named.add(text);
  std::vector<AddedToken> listed = config_.added;
  std::ranges::stable_sort(listed, {}, &AddedToken::id);
  for (AddedToken& token : listed) {
    token.special = token.special || named.find(token.content) >= 0;
    MIAO_CHECK_OK(cut_out(token, token.id));
  }
  return {};
}

Result<void> SpmBuilder::additional() {
  for (const std::string& text : config_.additional) {
    if (!text.empty()) MIAO_CHECK_OK(control(text));
  }
  return {};
}

Result<std::shared_ptr<const TokenizerData>> SpmBuilder::finish() {
  data_->special.assign(static_cast<size_t>(data_->vocab.size()), 0);
  for (const AddedToken& token : added_) {
    data_->special[static_cast<size_t>(token.id)] = token.special && !token.leading;
    MIAO_CHECK_OK(data_->added.add(token, token.content));
  }
  data_->collect_eog();
  return std::shared_ptr<const TokenizerData>(std::move(data_));
}

// Gives the token an id behind all that there are.
Result<void> SpmBuilder::append(const AddedToken& token) {
  Vocab& vocab = data_->vocab;
  if (token.id < 0 || token.id >= size() + kMaxAdded) {
    return Error{Code::corrupt, "the id " + std::to_string(token.id) + " of the added token " +
                                    in_quotes(token.content) + " is too far behind the " + std::to_string(size()) +
                                    " pieces"};
  }
  if (token.id < vocab.size()) return given_twice(token.id, vocab.piece(token.id), token.content);
  while (vocab.size() < token.id) vocab.add("", false);
  vocab.add(token.content, false);
  data_->added_names.add(token.content);
  data_->added_ids.push_back(token.id);
  return {};
}

}  // namespace miao::prep
