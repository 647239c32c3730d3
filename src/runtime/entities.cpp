// See entities.h.
#include "runtime/entities.h"

#include <algorithm>

#include "models/spec.h"
#include "runtime/classify.h"
#include "runtime/windows.h"
#include "runtime/words.h"

namespace miao::runtime {

namespace {

// A token or a word, and what it is taken for.
struct Labelled {
  prep::ByteRange range;
  size_t label;
  float score;
};

// A label of the form B-X or I-X. Without a prefix it goes on with its like.
struct Tag {
  bool begins;
  std::string_view name;
  explicit Tag(std::string_view label) : begins(label.starts_with("B-")), name(label) {
    if (begins || label.starts_with("I-")) name.remove_prefix(2);
  }
  // What an entity is called; other schemes have prefixes too.
  std::string_view shown() const { return name.find('-') == name.npos ? name : name.substr(name.find('-') + 1); }
};

// The words of a window; `rows` are probabilities of the labels, one row a token.
class Reader {
 public:
  Reader(std::span<const std::string> labels, Aggregation aggregation) : labels_(labels), aggregation_(aggregation) {}

  void token(prep::ByteRange range, bool continues, std::span<const float> row) {
    if (!(continues && open_) || aggregation_ == Aggregation::simple) begin(range);
    words_.back().range.end = range.end;
    const float top = *std::max_element(row.begin(), row.end());
    if (aggregation_ == Aggregation::average) {
      for (size_t i = 0; i < row.size(); ++i) row_[i] += row[i];
    } else if (count_ == 0 || (aggregation_ == Aggregation::max && top > *std::max_element(row_.begin(), row_.end()))) {
      row_.assign(row.begin(), row.end());
    }
    ++count_;
  }

  // Neighbours of one name become one entity.
  Entities finish() {
    close();
    Entities out;
    for (size_t begin = 0, end; begin < words_.size(); begin = end) {
      const Tag tag(labels_[words_[begin].label]);
      double sum = double{words_[begin].score};
      for (end = begin + 1; end < words_.size(); ++end) {
        const Tag next(labels_[words_[end].label]);
        if (next.begins || next.name != tag.name) break;
        sum += double{words_[end].score};
      }
      if (tag.shown() == "O") continue;
      out.push_back({std::string(tag.shown()),
                     static_cast<float>(sum / static_cast<double>(end - begin)),
                     {words_[begin].range.begin, words_[end - 1].range.end}});
    }
    return out;
  }

 private:
  void begin(prep::ByteRange range) {
    close();
    words_.push_back({range, 0, 0});
    row_.assign(labels_.size(), 0.0f);
    open_ = true;
  }
  void close() {
    if (!open_) return;
    const auto best = std::max_element(row_.begin(), row_.end());
    words_.back().label = static_cast<size_t>(best - row_.begin());
    words_.back().score = aggregation_ == Aggregation::average ? *best / static_cast<float>(count_) : *best;
    count_ = 0;
    open_ = false;
  }

  std::span<const std::string> labels_;
  Aggregation aggregation_;
  std::vector<Labelled> words_;
  std::vector<float> row_;  // of the word that is open
  int count_ = 0;           // its tokens
  bool open_ = false;
};

// Of entities that overlap, as those of neighbouring windows do, the longest, and of equal ones the surest.
Entities without_overlaps(Entities all) {
  std::ranges::stable_sort(all, {}, [](const Entity& e) { return e.range.begin; });
  Entities out;
  for (Entity& e : all) {
    if (out.empty() || e.range.begin >= out.back().range.end) {
      out.push_back(std::move(e));
      continue;
    }
    const auto size = [](const Entity& x) { return x.range.end - x.range.begin; };
    const bool longer = size(e) > size(out.back()), as_long = size(e) == size(out.back());
    if (longer || (as_long && e.score > out.back().score)) out.back() = std::move(e);
  }
  return out;
}

struct Piece {
  size_t text;
  Window window;
  std::vector<int32_t> ids;
};

}  // namespace

Result<std::vector<Result<Entities>>> find_entities(Encoder& encoder, std::span<const std::string> texts,
                                                    const EntityOptions& options) {
  if (encoder.spec().head.task != models::HeadSpec::Task::tokens) {
    return Error{Code::unsupported, "the model has no head that labels tokens", encoder.checkpoint().path().string()};
  }
  MIAO_TRY(const prep::Tokenizer* tokenizer, encoder.tokenizer());
  const auto front = tokenizer->prefix(), back = tokenizer->suffix();
  const auto limit = static_cast<size_t>(encoder.ctx());
  if (front.size() + back.size() >= limit) {
    return Error{Code::invalid, "a context of " + std::to_string(limit) + " tokens has no room for a text", {}};
  }
  std::vector<Result<prep::LocatedIds>> located;
  std::vector<Piece> pieces;
  for (size_t i = 0; i < texts.size(); ++i) {
    located.push_back(tokenizer->locate(texts[i], {.add_special = false}));
    if (!located[i].ok() || located[i]->ids.empty()) continue;
    const std::vector<int32_t>& ids = located[i]->ids;
    for (const Window w :
         windows(ids.size(), limit - front.size() - back.size(), static_cast<size_t>(options.overlap))) {
      Piece piece{i, w, {front.begin(), front.end()}};
      const auto first = ids.begin() + static_cast<ptrdiff_t>(w.begin);
      piece.ids.insert(piece.ids.end(), first, first + static_cast<ptrdiff_t>(w.size));
      piece.ids.insert(piece.ids.end(), back.begin(), back.end());
      pieces.push_back(std::move(piece));
    }
  }
  std::vector<EncoderInput> inputs;
  for (const Piece& piece : pieces) inputs.push_back({piece.ids, {}});
  MIAO_TRY(const Encoded rows, encoder.run(inputs, options.cancel));

  std::vector<Result<Entities>> out;
  for (auto& each : located) out.push_back(each.ok() ? Result<Entities>(Entities()) : Result<Entities>(each.error()));
  for (size_t p = 0; p < pieces.size(); ++p) {
    const auto& [text, window, ids] = pieces[p];
    std::vector<float> scores;
    Reader reader(encoder.spec().head.labels, options.aggregation);
    for (size_t t = 0; t < window.size; ++t) {
      const prep::ByteRange range = located[text]->ranges[window.begin + t];
      const bool continues = continues_word(*tokenizer, texts[text], *located[text], window.begin + t);
      const auto row = rows.row(p, static_cast<int64_t>(front.size() + t));
      scores.assign(row.begin(), row.end());
      apply_scale(ClassScale::softmax, scores);
      reader.token(range, continues, scores);
    }
    for (Entity& e : reader.finish()) out[text]->push_back(std::move(e));
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!out[i].ok()) continue;
    for (Entity& e : *out[i]) e.range = without_blanks(texts[i], e.range);
    out[i] = without_overlaps(std::move(*out[i]));
  }
  return out;
}

}  // namespace miao::runtime
