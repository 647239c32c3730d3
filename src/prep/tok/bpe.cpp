// Byte-pair encoding; see bpe.h.
#include "prep/tok/bpe.h"

#include <algorithm>
#include <bit>

#include "base/check.h"
#include "prep/tok/unicode.h"
#include "prep/tok/word_table.h"

namespace miao::prep {
namespace {

constexpr uint32_t kNoRank = UINT32_MAX;
constexpr uint64_t kNoKey = UINT64_MAX;
constexpr size_t kShort = 40;  // symbols
constexpr size_t kKeptSymbols = 1 << 16;
constexpr uint8_t kSpaceCode = 0xFF;
constexpr uint32_t kMaxSurface = 256;  // bytes; a run of unknown text is looked up at each of its characters

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

const std::array<uint16_t, 256>& byte_level_alphabet() {
  static const auto alphabet = [] {
    std::array<uint16_t, 256> a{};
    uint16_t next = 256;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      a[b] = printable ? static_cast<uint16_t>(b) : next++;
    }
    return a;
  }();
  return alphabet;
}

int byte_of_alphabet(uint32_t cp) {
  static const auto inverse = [] {
    std::array<int16_t, 324> a;
    a.fill(-1);
    for (int b = 0; b < 256; ++b) a[byte_level_alphabet()[b]] = static_cast<int16_t>(b);
    return a;
  }();
  return cp < inverse.size() ? inverse[cp] : -1;
}

bool append_alphabet_bytes(std::string& out, std::string_view piece) {
  const size_t before = out.size();
  for (const char* p = piece.data(); p < piece.data() + piece.size();) {
    const Rune r = rune_at(p);
    const int byte = byte_of_alphabet(r.value);
    if (byte < 0) {
      out.resize(before);
      return false;
    }
    out += static_cast<char>(byte);
    p += r.size;
  }
  return true;
}

struct Bpe::Scratch {
  struct Link {
    int32_t prev, next;
  };
  struct Candidate {
    uint64_t key;   // rank << 32 | position: smallest first
    uint32_t size;  // bytes of the joined symbols when it was found
    int32_t id;
    bool operator<(const Candidate& o) const { return key > o.key; }  // for a min-heap
  };
  std::vector<Symbol> symbols;
  std::vector<Link> links;
  std::vector<Candidate> heap;
};

Bpe::Scratch& Bpe::scratch() {
  thread_local Scratch s;
  return s;
}

Bpe::Bpe(const Vocab& vocab, BpeOptions options)
    : vocab_(vocab), options_(std::move(options)), serial_(WordTable::new_serial()) {
  byte_id_.fill(-1);
  cut_ = !options_.byte_level && options_.prefix.empty() && options_.suffix.empty();
}

std::string_view Bpe::kind() const {
  return options_.byte_level ? "byte-level BPE" : options_.sentencepiece ? "SentencePiece BPE" : "BPE";
}

ModelParts Bpe::parts() const {
  ModelParts out{.byte_fallback = options_.byte_fallback,
                 .ignore_merges = options_.ignore_merges,
                 .prefix = options_.prefix,
                 .suffix = options_.suffix};
  if (!options_.sentencepiece) out.merges.resize(merges_);
  for (const Slot& slot : slots_) {
    if (slot.key == kNoKey || options_.sentencepiece) continue;
    out.merges[slot.rank] = {static_cast<int32_t>(slot.key >> 32), static_cast<int32_t>(slot.key)};
  }
  for (const uint32_t rank : rank_of_) {  // as set_scores() made it
    const uint32_t ascending = ~rank;
    const uint32_t bits = ascending & 0x80000000u ? ascending & 0x7FFFFFFFu : ~ascending;
    out.spelled.push_back(rank != kNoRank);
    out.scores.push_back(rank == kNoRank ? 0.0f : std::bit_cast<float>(bits));
  }
  return out;
}

void Bpe::reserve_merges(size_t count) { slots_.assign(std::bit_ceil(count + count / 2 + 16), {kNoKey, kNoRank, -1}); }

Result<void> Bpe::merge(std::string_view left, std::string_view right) {
  const int32_t a = vocab_.find(left), b = vocab_.find(right);
  const auto whole_is = [&](std::string_view whole) {
    return whole.size() == left.size() + right.size() - options_.prefix.size() && whole.starts_with(left) &&
           whole.substr(left.size()) == right.substr(options_.prefix.size());
  };
  int32_t id = -1;
  if (a >= 0 && b >= 0 && right.starts_with(options_.prefix)) {
    // Vocabularies mostly list their pieces in merge order: try the last whole (it may have several merges) and the
    // next.
    for (int32_t guess = last_whole_; id < 0 && guess < std::min(last_whole_ + 2, vocab_.size()); ++guess) {
      if (whole_is(vocab_.piece(guess))) id = guess;
    }
    if (id < 0) {
      std::string whole(left);
      whole += right.substr(options_.prefix.size());
      id = vocab_.find(whole);
    }
    if (id >= 0) last_whole_ = id;
  }
  if (id < 0) {
    const bool part = a < 0 || b < 0;
    return Error{Code::corrupt, "merge " + std::to_string(merges_) + " (\"" + std::string(left.substr(0, 60)) +
                                    "\" + \"" + std::string(right.substr(0, 60)) +
                                    "\"): " + (part ? "a part" : "the whole") +
                                    " is not in the vocabulary; export the tokenizer again"};
  }
  const uint64_t key = pair_key(a, b);
  for (size_t i = hash_.of(key) & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
    Slot& slot = slots_[i];
    if (slot.key == key) {
      return Error{Code::corrupt, "merge " + std::to_string(merges_) + " (\"" + std::string(left.substr(0, 60)) +
                                      "\" + \"" + std::string(right.substr(0, 60)) +
                                      "\") is listed twice; export the tokenizer again"};
    }
    if (slot.key == kNoKey) {
      slot = {key, merges_++, id};
      break;
    }
  }
  if (cut_) allow_join(left, right);
  return {};
}

void Bpe::allow_join(std::string_view left, std::string_view right) {
  const uint8_t before = left.ends_with(kMetaSpace) ? kSpaceCode : static_cast<uint8_t>(left.back());
  const uint8_t after = right.starts_with(kMetaSpace) ? kSpaceCode : static_cast<uint8_t>(right.front());
  joins_[before].set(after);
  // A byte token's text says nothing about the bytes beside it.
  if (options_.byte_fallback && (left.ends_with('>') || right.starts_with("<0x"))) {
    const auto byte_token = [](std::string_view t) { return t.size() == 6 && t.starts_with("<0x"); };
    if (byte_token(left) || byte_token(right)) cut_ = false;
  }
}

void Bpe::set_scores(std::vector<float> scores, std::vector<bool> mergeable) {
  rank_of_.assign(scores.size(), kNoRank);
  for (size_t id = 0; id < scores.size(); ++id) {
    if (!mergeable[id]) continue;
    // Higher score, lower rank; equal scores, equal ranks.
    const auto bits = std::bit_cast<uint32_t>(scores[id] + 0.0f);
    const uint32_t ascending = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    rank_of_[id] = std::min(~ascending, kNoRank - 1);
    const std::string_view piece = vocab_.piece(static_cast<int32_t>(id));
    for (size_t at = 0, size; at < piece.size(); at += size) {
      size = rune_at(piece.data() + at).size;
      if (at) allow_join(piece.substr(0, at), piece.substr(at));
    }
  }
}

void Bpe::finish(const std::vector<bool>& in_model) {
  if (slots_.empty()) reserve_merges(0);
  if (options_.byte_level) {
    for (int b = 0; b < 256; ++b) {
      std::string spelled;
      append_utf8(spelled, byte_level_alphabet()[b]);
      byte_id_[b] = vocab_.find(spelled);
    }
    if (options_.ignore_merges) {
      raw_.reserve(vocab_.size(), 0);
      std::string bytes;
      for (int32_t id = 0; id < vocab_.size(); ++id) {
        bytes.clear();
        const bool real = (in_model.empty() || in_model[id]) && append_alphabet_bytes(bytes, vocab_.piece(id));
        raw_.add(bytes, real && !bytes.empty());
      }
    }
    return;
  }
  if (options_.byte_fallback) {
    for (int b = 0; b < 256; ++b) {
      constexpr char kHex[] = "0123456789ABCDEF";
      const char name[] = {'<', '0', 'x', kHex[b >> 4], kHex[b & 15], '>'};
      byte_id_[b] = vocab_.find({name, sizeof name});
    }
  }
  for (size_t c = 0; c < 128; ++c) {
    const char text = static_cast<char>(c);
    solid_[c] = vocab_.find({&text, 1}) >= 0;
  }
  solid_[kSpaceCode] = vocab_.find(kMetaSpace) >= 0;
}

Bpe::Pair Bpe::find(int32_t left, int32_t right) const {
  const uint64_t key = pair_key(left, right);
  for (size_t i = hash_.of(key) & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[i];
    if (slot.key == key) return {slot.rank, slot.id};
    if (slot.key == kNoKey) return {kNoRank, -1};
  }
}

Bpe::Pair Bpe::find_text(std::string_view text) const {
  const int32_t id = vocab_.find(text);
  return id < 0 ? Pair{kNoRank, -1} : Pair{rank_of_[id], id};
}

Bpe::Pair Bpe::pair_of(const char* word, const Symbol& a, const Symbol& b) const {
  return options_.sentencepiece ? find_text({word + a.begin, a.size + b.size}) : find(a.id, b.id);
}

int32_t Bpe::find_piece(std::string_view bytes) const {
  return options_.byte_level ? raw_.find(bytes) : vocab_.find(bytes);
}

void Bpe::encode(std::string_view word, Pieces& out) const {
  if (options_.spelled_bytes) {
    Text spelled;
    const Source plain = out.word;
    for (const char& c : word) {
      append_utf8(spelled.bytes, byte_level_alphabet()[static_cast<uint8_t>(c)]);
      spelled.mark(plain, {&c, 1});
    }
    out.word = spelled.view();
    encode_word(spelled.bytes, out);
    out.word = plain;
    return;
  }
  if (!cut_) return encode_word(word, out);
  if (options_.ignore_merges) {
    if (const int32_t id = find_piece(word); id >= 0) return out.add(id, word);
  }
  encode_cut(word, out);
}

void Bpe::encode_cut(std::string_view word, Pieces& out) const {
  size_t begin = 0;
  uint8_t before = 0;
  for (size_t at = 0; at < word.size();) {
    auto after = static_cast<uint8_t>(word[at]);
    uint8_t last = after;
    size_t size = 1;
    if (after >= 0x80) {
      size = rune_at(word.data() + at).size;
      last = static_cast<uint8_t>(word[at + size - 1]);
      if (word.substr(at, size) == kMetaSpace) after = last = kSpaceCode;
    }
    if (at > begin && !joins_[before][after] && (solid_[before] || solid_[after])) {
      encode_word(word.substr(begin, at - begin), out);
      begin = at;
    }
    before = last;
    at += size;
  }
  encode_word(word.substr(begin), out);
}

void Bpe::encode_word(std::string_view word, Pieces& out) const {
  WordTable::encode(serial_, word, out, [&] { merge_word(word, out); });
}

void Bpe::merge_word(std::string_view word, Pieces& out) const {
  if (options_.ignore_merges && !cut_) {
    if (const int32_t id = find_piece(word); id >= 0) return out.add(id, word);
  }
  Scratch& s = scratch();
  first_symbols(word, s.symbols);
  auto& symbols = s.symbols;
  size_t n = symbols.size();
  if (n > kShort) {
    merge_heap(word, s, out);
  } else {
    Pair pairs[kShort];
    for (size_t i = 0; i + 1 < n; ++i) pairs[i] = pair_of(word.data(), symbols[i], symbols[i + 1]);
    while (n > 1) {
      size_t best = 0;
      for (size_t i = 1; i + 1 < n; ++i) {
        if (pairs[i].rank < pairs[best].rank) best = i;
      }
      if (pairs[best].rank == kNoRank) break;
      symbols[best].id = pairs[best].id;
      symbols[best].size += symbols[best + 1].size;
      --n;
      for (size_t i = best + 1; i < n; ++i) symbols[i] = symbols[i + 1];
      for (size_t i = best + 1; i + 1 < n; ++i) pairs[i] = pairs[i + 1];
      if (best + 1 < n) pairs[best] = pair_of(word.data(), symbols[best], symbols[best + 1]);
      if (best > 0) pairs[best - 1] = pair_of(word.data(), symbols[best - 1], symbols[best]);
    }
    uint32_t unknown = 0;
    for (size_t i = 0; i < n; ++i) emit(word, symbols[i], &unknown, out);
  }
  if (symbols.capacity() > kKeptSymbols) s = {};  // one giant word must not pin its memory to the thread
}

void Bpe::first_symbols(std::string_view word, std::vector<Symbol>& symbols) const {
  symbols.clear();
  // An unknown symbol waits for its successors: with fuse_unk they become one.
  Symbol unk{-1, 0, 0};
  const auto flush = [&] {
    if (unk.size) symbols.push_back(unk);
    unk.size = 0;
  };
  const auto unknown = [&](uint32_t begin, uint32_t size) {
    if (options_.unk < 0) return;
    if (unk.size && options_.fuse_unk) {
      unk.size += size;
      return;
    }
    flush();
    unk = {options_.unk, begin, size};
  };
  const auto n = static_cast<uint32_t>(word.size());
  if (options_.byte_level) {
    for (uint32_t i = 0; i < n; ++i) {
      const int32_t id = byte_id_[static_cast<uint8_t>(word[i])];
      if (id < 0) {
        unknown(i, 1);
      } else {
        flush();
        symbols.push_back({id, i, 1});
      }
    }
    return flush();
  }
  std::string spelled;
  for (uint32_t i = 0; i < n;) {
    const uint32_t size = rune_at(word.data() + i).size;
    if (options_.sentencepiece) {
      symbols.push_back({-1, i, size});
      i += size;
      continue;
    }
    std::string_view text = word.substr(i, size);
    const bool first = i == 0, last = i + size == n;
    if ((!first && !options_.prefix.empty()) || (last && !options_.suffix.empty())) {
      spelled = first ? "" : options_.prefix;
      spelled += text;
      if (last) spelled += options_.suffix;
      text = spelled;
    }
    if (const int32_t id = vocab_.find(text); id >= 0) {
      flush();
      symbols.push_back({id, i, size});
    } else if (options_.byte_fallback &&
               std::ranges::all_of(text, [&](char c) { return byte_id_[static_cast<uint8_t>(c)] >= 0; })) {
      for (uint32_t k = 0; k < text.size(); ++k)
        symbols.push_back({byte_id_[static_cast<uint8_t>(text[k])], i + std::min(k, size - 1), 1});
    } else {
      unknown(i, size);
    }
    i += size;
  }
  flush();
}

void Bpe::merge_heap(std::string_view word, Scratch& s, Pieces& out) const {
  auto& symbols = s.symbols;
  const auto n = static_cast<int32_t>(symbols.size());
  s.links.resize(symbols.size());
  s.heap.clear();
  const auto consider = [&](int32_t left) {
    const int32_t right = s.links[left].next;
    const Pair pair = pair_of(word.data(), symbols[left], symbols[right]);
    if (pair.rank == kNoRank) return false;
    s.heap.push_back({static_cast<uint64_t>(pair.rank) << 32 | static_cast<uint32_t>(left),
                      symbols[left].size + symbols[right].size, pair.id});
    return true;
  };
  for (int32_t i = 0; i < n; ++i) s.links[i] = {i - 1, i + 1 < n ? i + 1 : -1};
  for (int32_t i = 0; i + 1 < n; ++i) consider(i);
  std::make_heap(s.heap.begin(), s.heap.end());
  while (!s.heap.empty()) {
    std::pop_heap(s.heap.begin(), s.heap.end());
    const Scratch::Candidate top = s.heap.back();
    s.heap.pop_back();
    const auto left = static_cast<int32_t>(top.key & 0xFFFFFFFFu);
    const int32_t right = symbols[left].size ? s.links[left].next : -1;
    // Stale when either side has merged since: the joined size then differs.
    if (right < 0 || symbols[left].size + symbols[right].size != top.size) continue;
    symbols[left].id = top.id;
    symbols[left].size = top.size;
    symbols[right].size = 0;
    const int32_t after = s.links[right].next;
    s.links[left].next = after;
    if (after >= 0) {
      s.links[after].prev = left;
      if (consider(left)) std::push_heap(s.heap.begin(), s.heap.end());
    }
    const int32_t before = s.links[left].prev;
    if (before >= 0 && consider(before)) std::push_heap(s.heap.begin(), s.heap.end());
  }
  uint32_t unknown = 0;
  for (int32_t i = 0; i >= 0; i = s.links[i].next) emit(word, symbols[i], &unknown, out);
}

// `unknown`: bytes of the unknown text that ends at this symbol (sentencepiece gives one id for all of it).
void Bpe::emit(std::string_view word, const Symbol& symbol, uint32_t* unknown, Pieces& out) const {
  const std::string_view text = word.substr(symbol.begin, symbol.size);
  if (!options_.sentencepiece) return out.add(symbol.id, text);
  const Pair piece = find_text(text);
  if (piece.rank != kNoRank) {
    *unknown = 0;
    return out.add(piece.id, text);
  }
  if (std::ranges::all_of(text, [&](char c) { return byte_id_[static_cast<uint8_t>(c)] >= 0; })) {
    for (char c : text) out.add(byte_id_[static_cast<uint8_t>(c)], text);
    *unknown = 0;
    return;
  }
  if (options_.unk < 0) return;
  *unknown == 0 ? out.add(options_.unk, text) : out.extend(text);
  *unknown += symbol.size;
  if (!options_.surfaces) return;
  int32_t surface = -1;
  if (*unknown <= kMaxSurface)
    surface = options_.surfaces->find(word.substr(symbol.begin + symbol.size - *unknown, *unknown));
  out.ids.back() = surface < 0 ? options_.unk : vocab_.size() + surface;
}

}  // namespace miao::prep
