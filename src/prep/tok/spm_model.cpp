// A SentencePiece file as the model of a tokenizer; see spm_model.h.
#include "prep/tok/spm_model.h"

#include <algorithm>
#include <cfloat>
#include <string>

#include "prep/tok/bpe.h"
#include "prep/tok/unigram.h"

namespace miao::prep {

namespace {

using Type = SpmFile::Type;

// Texts of user-defined pieces, each with its id; null when there are none.
Result<std::shared_ptr<const Trie>> user_defined(const SpmFile& file) {
  auto trie = std::make_shared<Trie>();
  for (int32_t id = 0; id < file.size(); ++id) {
    const SpmFile::Piece& piece = file.pieces[static_cast<size_t>(id)];
    if (piece.type == Type::user_defined) MIAO_CHECK_OK(trie->insert(piece.text, id));
  }
  if (trie->empty()) return std::shared_ptr<const Trie>();
  return std::shared_ptr<const Trie>(std::move(trie));
}

}  // namespace

Result<std::unique_ptr<Model>> SpmModel::make(const SpmFile& file, SpmIds ids) {
  auto model = std::make_unique<SpmModel>();
  size_t bytes = 0;
  for (const SpmFile::Piece& piece : file.pieces) bytes += piece.text.size();
  model->pieces_.reserve(file.pieces.size(), bytes);
  for (int32_t id = 0; id < file.size(); ++id) {
    const SpmFile::Piece& piece = file.pieces[static_cast<size_t>(id)];
    const bool searchable = piece.type != Type::control && piece.type != Type::unknown;
    if (searchable && model->pieces_.find(piece.text) >= 0) {
      return Error{Code::corrupt, "piece " + std::to_string(id) + " is spelled as piece " +
                                      std::to_string(model->pieces_.find(piece.text)) + "; fetch the file again"};
    }
    model->pieces_.add(piece.text, searchable);
  }
  model->ids_ = std::move(ids);
  MIAO_CHECK_OK(file.algorithm == SpmFile::Algorithm::bpe ? model->make_bpe(file) : model->make_unigram(file));
  return std::unique_ptr<Model>(std::move(model));
}

Result<void> SpmModel::make_unigram(const SpmFile& file) {
  std::vector<double> scores(file.pieces.size());
  std::vector<bool> in_model(file.pieces.size());
  float lowest = FLT_MAX, highest = FLT_MIN;  // the library begins at the smallest positive number, not the lowest
  for (size_t id = 0; id < scores.size(); ++id) {
    const SpmFile::Piece& piece = file.pieces[id];
    in_model[id] = piece.type == Type::normal || piece.type == Type::user_defined;
    scores[id] = piece.score;
    if (piece.type != Type::normal) continue;
    lowest = std::min(lowest, piece.score);
    highest = std::max(highest, piece.score);
  }
  for (size_t id = 0; id < scores.size(); ++id) {  // of a user-defined piece: so that its text always becomes it
    const SpmFile::Piece& piece = file.pieces[id];
    if (piece.type == Type::user_defined) scores[id] = static_cast<float>(piece.text.size()) * highest - 0.1;
  }
  UnigramOptions options{.unk = file.unk, .byte_fallback = file.byte_fallback, .single = true};
  options.lowest = lowest == FLT_MAX ? 0 : lowest;
  options.surfaces = ids_.surfaces;
  MIAO_TRY(inner_, Unigram::make(pieces_, scores, in_model, options));
  return {};
}

Result<void> SpmModel::make_bpe(const SpmFile& file) {
  std::vector<float> scores(file.pieces.size());
  std::vector<bool> mergeable(file.pieces.size());
  for (size_t id = 0; id < scores.size(); ++id) {
    const SpmFile::Piece& piece = file.pieces[id];
    if (piece.type == Type::unused) {
      return Error{Code::unsupported, "piece " + std::to_string(id) +
                                          " of this BPE model is marked as unused, which is not known to this "
                                          "version; convert the model to a tokenizer.json"};
    }
    mergeable[id] = piece.type == Type::normal || piece.type == Type::user_defined;
    scores[id] = piece.score;
  }
  MIAO_TRY(const std::shared_ptr<const Trie> frozen, user_defined(file));
  if (frozen) frozen_ = *frozen;
  auto bpe = std::make_unique<Bpe>(
      pieces_,
      BpeOptions{
          .sentencepiece = true, .byte_fallback = file.byte_fallback, .unk = file.unk, .surfaces = ids_.surfaces});
  bpe->set_scores(std::move(scores), std::move(mergeable));
  bpe->finish({});
  inner_ = std::move(bpe);
  return {};
}

// By the ids of the tokenizer.
ModelParts SpmModel::parts() const {
  ModelParts own = inner_->parts();
  if (ids_.of.empty()) return own;
  ModelParts out{.byte_fallback = own.byte_fallback};
  for (size_t id = 0; id < ids_.of.size(); ++id) {
    const auto at = static_cast<size_t>(ids_.of[id]);
    if (at >= out.scores.size()) {
      out.scores.resize(at + 1);
      out.spelled.resize(at + 1);
    }
    if (!own.spelled[id]) continue;
    out.scores[at] = own.scores[id];
    out.spelled[at] = true;
  }
  return out;
}

void SpmModel::encode(std::string_view word, Pieces& out) const {
  const size_t before = out.ids.size();
  if (frozen_.empty()) {
    inner_->encode(word, out);
  } else {
    encode_cut(word, out);
  }
  for (size_t i = before; i < out.ids.size(); ++i) {
    const auto id = static_cast<size_t>(out.ids[i]), own = static_cast<size_t>(pieces_.size());
    out.ids[i] = id >= own ? static_cast<int32_t>(id - own) : ids_.of.empty() ? out.ids[i] : ids_.of[id];
  }
}

void SpmModel::encode_cut(std::string_view word, Pieces& out) const {
  size_t begin = 0;
  for (size_t at = 0; at < word.size();) {
    const size_t size = frozen_.longest(word.substr(at));
    if (size == 0) {
      ++at;
      continue;
    }
    if (at > begin) inner_->encode(word.substr(begin, at - begin), out);
    out.add(pieces_.find(word.substr(at, size)), word.substr(at, size));
    begin = at += size;
  }
  if (begin < word.size()) inner_->encode(word.substr(begin), out);
}

Result<std::shared_ptr<const SpmNormalizer>> spm_normalizer(const SpmFile& file) {
  auto out = std::make_shared<SpmNormalizer>();
  if (!file.charsmap.empty()) {
    MIAO_TRY(Charsmap map, Charsmap::parse(file.charsmap));
    out->map = std::move(map);
  }
  MIAO_TRY(out->kept, user_defined(file));
  out->dummy_prefix = file.add_dummy_prefix;
  out->suffix = file.whitespace_suffix;
  out->squeeze = file.remove_extra_whitespaces;
  out->escape = file.escape_whitespaces;
  return std::shared_ptr<const SpmNormalizer>(std::move(out));
}

}  // namespace miao::prep
