// The decode machine; see decoder.h.
#include "prep/tok/decoder.h"

#include <array>

#include "prep/tok/bpe.h"
#include "prep/tok/unicode.h"

namespace miao::prep {
namespace {

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty() || text.find(from) == std::string::npos) return;
  std::string out;
  size_t done = 0;
  for (size_t at; (at = text.find(from, done)) != std::string::npos; done = at + from.size()) {
    out.append(text, done, at - done);
    out += to;
  }
  out.append(text, done);
  text = std::move(out);
}

// Spaces before English punctuation and contractions, in this order.
void clean_up(std::string& text) {
  constexpr std::array<std::array<std::string_view, 2>, 11> kRules = {{{" .", "."},
                                                                       {" ?", "?"},
                                                                       {" !", "!"},
                                                                       {" ,", ","},
                                                                       {" ' ", "'"},
                                                                       {" n't", "n't"},
                                                                       {" 'm", "'m"},
                                                                       {" do not", " don't"},
                                                                       {" 's", "'s"},
                                                                       {" 've", "'ve"},
                                                                       {" 're", "'re"}}};
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The byte that "<0xNN>" names, or -1.
int byte_token(std::string_view piece) {
  if (piece.size() != 6 || !piece.starts_with("<0x") || piece[5] != '>') return -1;
  const int high = hex_digit(piece[3]), low = hex_digit(piece[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

}  // namespace

DecodeMachine::DecodeMachine(const Decoder& decoder, bool stream)
    : decoder_(&decoder), stream_(stream), states_(decoder.steps.size()) {}

bool DecodeMachine::fused_before(size_t at) const {
  for (size_t i = 0; i < at; ++i) {
    if (decoder_->steps[i].kind == DecodeStep::Kind::fuse) return true;
  }
  return false;
}

void DecodeMachine::push(std::string_view piece) {
  if (any_ && !decoder_->separator.empty()) bytes_ += decoder_->separator;
  any_ = true;
  feed(0, piece);
}

void DecodeMachine::feed(size_t at, std::string_view piece) {
  if (at == decoder_->steps.size()) {
    bytes_ += piece;
    return;
  }
  const DecodeStep& step = decoder_->steps[at];
  State& state = states_[at];
  const bool first = state.first;
  state.first = false;
  switch (step.kind) {
    case DecodeStep::Kind::byte_level: {
      std::string bytes;
      return feed(at + 1, append_alphabet_bytes(bytes, piece) ? std::string_view(bytes) : piece);
    }
    case DecodeStep::Kind::word_piece: {
      std::string text;
      if (first) {
        text = piece;
      } else if (piece.starts_with(step.a)) {
        text = piece.substr(step.a.size());
      } else {
        text = " ";
        text += piece;
      }
      if (step.flag) clean_up(text);
      return feed(at + 1, text);
    }
    case DecodeStep::Kind::metaspace: {
      std::string text(piece);
      replace_all(text, step.a, first && step.flag ? "" : " ");
      return feed(at + 1, text);
    }
    case DecodeStep::Kind::suffix:
      if (state.pending) {
        std::string text = std::move(state.held);
        replace_all(text, step.a, " ");
        feed(at + 1, text);
      }
      state.held = piece;
      state.pending = true;
      return;
    case DecodeStep::Kind::replace: {
      std::string text(piece);
      replace_all(text, step.a, step.b);
      return feed(at + 1, text);
    }
    case DecodeStep::Kind::byte_fallback:
      return feed_fallback(at, piece);
    case DecodeStep::Kind::fuse:
      return feed(at + 1, piece);
    case DecodeStep::Kind::strip:
      return feed_strip(at, piece);
  }
}

void DecodeMachine::feed_fallback(size_t at, std::string_view piece) {
  State& state = states_[at];
  if (const int byte = byte_token(piece); byte >= 0) {
    state.held += static_cast<char>(byte);
    if (stream_) release_bytes(at, false);
    return;
  }
  release_bytes(at, true);
  feed(at + 1, piece);
}

// Hands on the held bytes: all of them, or the complete code points at their beginning.
void DecodeMachine::release_bytes(size_t at, bool all) {
  std::string held = std::move(states_[at].held);
  states_[at].held.clear();
  if (held.empty()) return;
  if (!stream_) {
    if (is_utf8(held)) return feed(at + 1, held);
    for (size_t i = 0; i < held.size(); ++i) feed(at + 1, kReplacement);
    return;
  }
  const char* p = held.data();
  const char* end = p + held.size();
  while (p < end) {
    size_t bad;
    bool cut;
    const size_t size = valid_rune(p, end, &bad, &cut);
    if (size == 0 && cut && !all) {
      states_[at].held.assign(p, end);
      return;
    }
    if (size) {
      feed(at + 1, {p, size});
    } else {
      for (size_t i = 0; i < bad; ++i) feed(at + 1, kReplacement);
    }
    p += size ? size : bad;
  }
}

void DecodeMachine::feed_strip(size_t at, std::string_view piece) {
  const DecodeStep& step = decoder_->steps[at];
  State& state = states_[at];
  if (!fused_before(at)) {
    state.stripped = 0;
    state.held.clear();
  }
  // At the front of the text: up to `start`, until something else comes.
  while (state.stripped < step.start && piece.starts_with(step.a)) {
    piece.remove_prefix(step.a.size());
    ++state.stripped;
  }
  if (!piece.empty()) state.stripped = step.start;
  // At its end: the last `stop` copies wait for what follows.
  std::string text = std::move(state.held);
  text += piece;
  state.held.clear();
  for (int i = 0; i < step.stop && std::string_view(text).ends_with(step.a); ++i) {
    state.held += step.a;
    text.resize(text.size() - step.a.size());
  }
  feed(at + 1, text);
}

std::string DecodeMachine::take() {
  const char* p = bytes_.data();
  const char* end = p + bytes_.size();
  while (p < end) {
    size_t bad;
    bool cut;
    const size_t size = valid_rune(p, end, &bad, &cut);
    if (size) {
      out_.append(p, size);
    } else if (cut) {
      break;
    } else {
      out_ += kReplacement;
    }
    p += size ? size : bad;
  }
  bytes_.erase(0, static_cast<size_t>(p - bytes_.data()));
  return std::exchange(out_, {});
}

std::string DecodeMachine::finish() {
  for (size_t at = 0; at < states_.size(); ++at) {
    const DecodeStep& step = decoder_->steps[at];
    if (step.kind == DecodeStep::Kind::byte_fallback) release_bytes(at, true);
    if (step.kind == DecodeStep::Kind::suffix && states_[at].pending) {
      replace_all(states_[at].held, step.a, "");
      feed(at + 1, states_[at].held);
    }
  }
  std::string text = take();
  append_lossy(text, bytes_);
  bytes_.clear();
  any_ = false;
  states_.assign(states_.size(), {});
  return text;
}

}  // namespace miao::prep
