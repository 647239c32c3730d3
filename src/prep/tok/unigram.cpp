// Viterbi for the Unigram model; see unigram.h. Ties keep the path found first, and a code point that is no piece costs
// ten less than the worst score: as in Hugging Face's encoder and in SentencePiece.
#include "prep/tok/unigram.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "prep/tok/unicode.h"
#include "prep/tok/word_table.h"

namespace miao::prep {

namespace {
constexpr size_t kKeptNodes = 1 << 16;
}

Result<std::unique_ptr<Model>> Unigram::make(const Vocab& vocab, const std::vector<double>& scores,
                                             const std::vector<bool>& in_model, UnigramOptions options) {
  auto model = std::make_unique<Unigram>();
  model->serial_ = WordTable::new_serial();
  model->single_ = options.single;
  double lowest = std::numeric_limits<double>::infinity();
  for (int32_t id = 0; id < vocab.size(); ++id) {
    if (!in_model[static_cast<size_t>(id)]) continue;
    const double score = scores[static_cast<size_t>(id)];
    if (!std::isfinite(score))
      return Error{Code::invalid, "the score of token " + std::to_string(id) + " is not finite"};
    lowest = std::min(lowest, score);
    const std::string_view piece = vocab.piece(id);
    if (piece.empty()) continue;
    MIAO_CHECK_OK(model->trie_.insert(piece, id));
  }
  if (model->trie_.empty()) return Error{Code::invalid, "the vocabulary has no piece"};
  if (options.unk >= vocab.size()) return Error{Code::invalid, "the unknown id is outside the vocabulary"};
  model->scores_ = scores;
  model->in_model_ = in_model;
  model->byte_fallback_ = options.byte_fallback;
  model->unk_ = options.unk;
  model->surfaces_ = options.surfaces;
  model->size_ = vocab.size();
  model->unk_score_ = options.lowest.value_or(lowest) - 10.0;
  for (int b = 0; b < 256; ++b) {
    constexpr char kHex[] = "0123456789ABCDEF";
    const char name[] = {'<', '0', 'x', kHex[b >> 4], kHex[b & 15], '>'};
    model->byte_id_[static_cast<size_t>(b)] = options.byte_fallback ? vocab.find({name, sizeof name}) : -1;
  }
  return std::unique_ptr<Model>(std::move(model));
}

ModelParts Unigram::parts() const {
  return {.scores = {scores_.begin(), scores_.end()}, .spelled = in_model_, .byte_fallback = byte_fallback_};
}

void Unigram::encode(std::string_view word, Pieces& out) const {
  WordTable::encode(serial_, word, out, [&] { best_path(word, out); });
}

void Unigram::best_path(std::string_view word, Pieces& out) const {
  struct Node {
    double score = 0;
    int32_t id = -1;
    int32_t from = -1;  // byte where the last piece begins; -1: not reached
  };
  thread_local std::vector<Node> nodes;
  nodes.assign(word.size() + 1, {});
  const auto offer = [&](size_t from, size_t to, double score, int32_t id) {
    if (single_) score = static_cast<float>(score);
    Node& node = nodes[to];
    if (node.from < 0 || score > node.score) node = {score, id, static_cast<int32_t>(from)};
  };
  for (size_t begin = 0; begin < word.size();) {
    const double here = nodes[begin].score;
    const size_t rune = rune_at(word.data() + begin).size;
    bool known = false;
    int32_t node = Trie::kRoot;
    for (size_t i = begin; i < word.size();) {
      node = trie_.next(node, word[i++]);
      if (node < 0) break;
      const int32_t id = trie_.value(node);
      if (id < 0) continue;
      offer(begin, i, here + scores_[static_cast<size_t>(id)], id);
      known = known || i - begin == rune;
    }
    if (!known) offer(begin, begin + rune, here + unk_score_, -1);
    begin += rune;
  }
  // Walk back; runs of unknown code points become one text.
  const size_t before = out.ids.size();
  for (size_t end = word.size(); end > 0;) {
    auto begin = static_cast<size_t>(nodes[end].from);
    if (nodes[end].id >= 0) {
      out.add(nodes[end].id, word.substr(begin, end - begin));
      end = begin;
      continue;
    }
    while (begin > 0 && nodes[begin].id < 0) begin = static_cast<size_t>(nodes[begin].from);
    const std::string_view text = word.substr(begin, end - begin);
    if (std::ranges::all_of(text, [&](char c) { return byte_id_[static_cast<uint8_t>(c)] >= 0; })) {
      for (size_t i = text.size(); i > 0; --i) out.add(byte_id_[static_cast<uint8_t>(text[i - 1])], text);
    } else if (const int32_t surface = surfaces_ ? surfaces_->find(text) : -1; surface >= 0) {
      out.add(size_ + surface, text);
    } else if (unk_ >= 0) {
      out.add(unk_, text);
    }
    end = begin;
  }
  out.reverse_from(before);
  if (nodes.capacity() > kKeptNodes) nodes = {};  // one giant word must not pin its memory to the thread
}

}  // namespace miao::prep
