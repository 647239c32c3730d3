// The encode and decode pipelines; see tokenizer.h. Loading is in tok/from_json.cpp and tok/from_gguf.cpp.
#include "prep/tokenizer.h"

#include <algorithm>

#include "base/check.h"
#include "prep/chat_template.h"
#include "prep/tok/data.h"
#include "prep/tok/unicode.h"

namespace miao::prep {
namespace {

// What normalizing may make of a text in all: Unicode's own forms need 11 bytes for one, with U+2581 for blanks 13.
constexpr size_t kMaxGrowth = 32;
constexpr size_t kFreeGrowth = 1 << 16;  // for short texts behind long prefixes

Result<void> check_size(std::string_view text) {
  if (text.size() <= Tokenizer::kMaxText) return {};
  return Error{Code::invalid, "the text has " + std::to_string(text.size()) + " bytes, at most " +
                                  std::to_string(Tokenizer::kMaxText) + " can be tokenized at once; cut it"};
}

// allow(begin, end): a control token may be found at this range of the text.
template <class Allow>
Result<Pieces> encode_with(const TokenizerData& d, const Source& source, bool add_special, Allow&& allow) {
  const std::string_view text = source.text;
  MIAO_CHECK_OK(check_size(text));
  Pieces out;
  out.trim = d.frame.trim;
  out.ids.reserve(text.size() / 4 + 8);
  if (add_special) out.ids = d.frame.prefix;
  if (source.from) out.ranges.resize(out.ids.size());
  PreTokenizer::Scratch scratch;
  Text normal;
  const bool same = d.normalizer.steps.empty();
  size_t most = std::min(text.size() * kMaxGrowth + kFreeGrowth, Tokenizer::kMaxText);
  const auto words = [&](const Source& part, bool origin) -> Result<void> {
    d.pre_tokenizer.run(part, origin, *d.model, scratch, out);
    return {};
  };
  const auto token_of = [&](const Source& from) {
    return [&out, from](int32_t id, size_t begin, size_t end) {
      if (from.from) out.word = from;
      const std::string_view taken = from.text.substr(begin, end - begin);
      const std::string_view bare = strip_white(taken, out.trim, out.trim);
      out.add(id, bare.empty() ? taken : bare);
    };
  };
  MIAO_CHECK_OK(d.added.split(
      false, text, allow,
      [&](size_t begin, size_t end) -> Result<void> {
        MIAO_TRY(const Source part, d.normalizer.run(source.part(text.substr(begin, end - begin)), most, normal));
        if (!same) most -= part.text.size();
        if (!d.added.any(true)) return words(part, begin == 0);
        return d.added.split(
            true, part.text,
            // Ranges of rewritten text are not ranges of `text`: then the whole part must be allowed.
            [&](size_t b, size_t e) { return same ? allow(begin + b, begin + e) : allow(begin, end); },
            [&](size_t b, size_t e) { return words(part.part(part.text.substr(b, e - b)), begin == 0 && b == 0); },
            token_of(part));
      },
      token_of(source)));
  if (add_special) out.ids.insert(out.ids.end(), d.frame.suffix.begin(), d.frame.suffix.end());
  return out;
}

// The text with broken sequences repaired, of which each code point knows its bytes.
Text traced(std::string_view text) {
  Text out;
  out.bytes.reserve(text.size());
  out.from.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    size_t bad;
    bool cut;
    const size_t good = valid_rune(text.data() + at, text.data() + text.size(), &bad, &cut), size = good ? good : bad;
    out.bytes += good ? text.substr(at, good) : kReplacement;
    out.from.resize(out.bytes.size(), {static_cast<uint32_t>(at), static_cast<uint32_t>(at + size)});
    at += size;
  }
  return out;
}

}  // namespace

Result<EncodedPair> Tokenizer::join(std::span<const int32_t> first, std::span<const int32_t> second) const {
  if (data_->frame.pair.empty()) {
    return Error{Code::unsupported, "this tokenizer's file does not say how two texts stand together", {}};
  }
  EncodedPair out;
  for (const Frame::Part& part : data_->frame.pair) {
    const size_t begin = out.ids.size();
    if (part.id == Frame::Part::kFirst) {
      out.first = begin;
      out.first_size = first.size();
      out.ids.insert(out.ids.end(), first.begin(), first.end());
    } else if (part.id == Frame::Part::kSecond) {
      out.second = begin;
      out.second_size = second.size();
      out.ids.insert(out.ids.end(), second.begin(), second.end());
    } else {
      out.ids.push_back(part.id);
    }
    out.types.resize(out.ids.size(), part.type);
  }
  return out;
}

Result<EncodedPair> Tokenizer::encode_pair(std::string_view first, std::string_view second, PairOptions options) const {
  const auto encoded = [&](std::string_view text) -> Result<LocatedIds> {
    if (options.ranges) return locate(text, {.add_special = false});
    MIAO_TRY(Ids ids, encode(text, {.add_special = false}));
    return LocatedIds{std::move(ids), {}};
  };
  MIAO_TRY(const LocatedIds a, encoded(first));
  MIAO_TRY(LocatedIds b, encoded(second));
  MIAO_TRY(EncodedPair out, join(a.ids, {}));
  if (out.ids.size() + b.ids.size() > options.limit) {
    if (out.ids.size() >= options.limit) {
      return Error{Code::invalid,
                   "the first text leaves no room for the second within " + std::to_string(options.limit) + " tokens",
                   {}};
    }
    b.ids.resize(options.limit - out.ids.size());
  }
  MIAO_TRY(out, join(a.ids, b.ids));
  if (options.ranges) {
    out.ranges.resize(out.ids.size());
    std::ranges::copy(a.ranges, out.ranges.begin() + static_cast<ptrdiff_t>(out.first));
    std::copy_n(b.ranges.begin(), b.ids.size(), out.ranges.begin() + static_cast<ptrdiff_t>(out.second));
  }
  return out;
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  MIAO_CHECK_OK(check_size(text));
  std::string repaired;
  if (!is_utf8(text)) {
    append_lossy(repaired, text);
    text = repaired;
  }
  MIAO_TRY(Pieces out,
           encode_with(*data_, {text}, options.add_special, [&](size_t, size_t) { return options.parse_special; }));
  return std::move(out.ids);
}

Result<LocatedIds> Tokenizer::locate(std::string_view text, EncodeOptions options) const {
  MIAO_CHECK_OK(check_size(text));
  const Text repaired = traced(text);
  MIAO_TRY(Pieces out, encode_with(*data_, repaired.view(), options.add_special,
                                   [&](size_t, size_t) { return options.parse_special; }));
  out.ranges.resize(out.ids.size());
  return LocatedIds{std::move(out.ids), std::move(out.ranges)};
}

std::span<const int32_t> Tokenizer::prefix() const { return data_->frame.prefix; }
std::span<const int32_t> Tokenizer::suffix() const { return data_->frame.suffix; }

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, std::span<const Segment> segments,
                                               bool add_special) const {
  MIAO_CHECK_OK(check_size(text));
  // Broken sequences are repaired segment by segment, so that the trusted ranges keep their meaning.
  std::string repaired;
  std::vector<Segment> ranges;
  for (const Segment& s : segments) {
    MIAO_CHECK(s.begin <= s.end && s.end <= text.size());
    const size_t begin = repaired.size();
    append_lossy(repaired, text.substr(s.begin, s.end - s.begin));
    if (s.trusted && !ranges.empty() && ranges.back().end == begin) {
      ranges.back().end = repaired.size();
    } else if (s.trusted) {
      ranges.push_back({begin, repaired.size(), true});
    }
  }
  MIAO_TRY(Pieces out, encode_with(*data_, {repaired}, add_special, [&](size_t begin, size_t end) {
             const auto r = std::upper_bound(ranges.begin(), ranges.end(), begin,
                                             [](size_t at, const Segment& s) { return at < s.end; });
             return r != ranges.end() && r->begin <= begin && end <= r->end;
           }));
  return std::move(out.ids);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool skip_special) const {
  DecodeMachine machine(data_->decoder, false);
  for (int32_t id : ids) {
    if (id < 0 || id >= data_->vocab.size() || (skip_special && data_->special[static_cast<size_t>(id)])) continue;
    machine.push(data_->vocab.piece(id));
  }
  return machine.finish();
}

Tokenizer Tokenizer::target() const { return data_->target ? Tokenizer(data_->target) : *this; }

int32_t Tokenizer::vocab_size() const { return data_->vocab.size(); }
std::string_view Tokenizer::id_to_piece(int32_t id) const {
  return id < 0 || id >= data_->vocab.size() ? std::string_view{} : data_->vocab.piece(id);
}
std::optional<int32_t> Tokenizer::piece_to_id(std::string_view piece) const {
  const int32_t id = data_->find(piece);
  return id < 0 ? std::nullopt : std::optional(id);
}
std::optional<int32_t> Tokenizer::bos_id() const { return data_->bos; }
std::optional<int32_t> Tokenizer::eos_id() const { return data_->eos; }
std::optional<int32_t> Tokenizer::unk_id() const { return data_->unk; }
std::optional<int32_t> Tokenizer::pad_id() const { return data_->pad; }
bool Tokenizer::is_special(int32_t id) const {
  return id >= 0 && id < data_->vocab.size() && data_->special[static_cast<size_t>(id)];
}
bool Tokenizer::is_eog(int32_t id) const { return std::ranges::binary_search(data_->eog, id); }
std::span<const int32_t> Tokenizer::eog_ids() const { return data_->eog; }
std::string_view Tokenizer::kind() const { return data_->model->kind(); }

void TokenizerData::collect_eog() {
  constexpr std::string_view kNames[] = {"<|im_end|>",
                                         "<|eot_id|>",
                                         "<|eom_id|>",
                                         "<|end_of_text|>",
                                         "<|endoftext|>",
                                         "<|end|>",
                                         "<end_of_turn>",
                                         "<|return|>",
                                         "<|call|>",
                                         "<EOT>",
                                         "[EOT]",
                                         "<|end_of_turn|>",
                                         "<end_of_utterance>",
                                         "<turn|>",
                                         "<\uFF5Cend\u2581of\u2581sentence\uFF5C>"};
  if (eos) eog.push_back(*eos);
  for (std::string_view name : kNames) {
    const int32_t id = find(name);
    if (id >= 0 && special[static_cast<size_t>(id)]) eog.push_back(id);
  }
  std::ranges::sort(eog);
  eog.erase(std::unique(eog.begin(), eog.end()), eog.end());
}

struct StreamDecoder::State {
  std::shared_ptr<const TokenizerData> data;
  DecodeMachine machine;
  bool skip_special;
};

StreamDecoder::StreamDecoder(Tokenizer tokenizer, bool skip_special)
    : state_(new State{tokenizer.data_, DecodeMachine(tokenizer.data_->decoder, true), skip_special}) {}
StreamDecoder::~StreamDecoder() = default;
StreamDecoder::StreamDecoder(StreamDecoder&&) noexcept = default;
StreamDecoder& StreamDecoder::operator=(StreamDecoder&&) noexcept = default;

std::string StreamDecoder::push(int32_t id) {
  const TokenizerData& d = *state_->data;
  if (id < 0 || id >= d.vocab.size() || (state_->skip_special && d.special[static_cast<size_t>(id)])) return {};
  state_->machine.push(d.vocab.piece(id));
  return state_->machine.take();
}

std::string StreamDecoder::flush() { return state_->machine.finish(); }

}  // namespace miao::prep
