// Decoders: pieces back to text, as a list of steps through which each piece passes on its own.
//
// The same machine serves whole sequences and streams: a step keeps what it cannot hand on yet (bytes of a broken code
// point, a suffix that the last piece must not show) and gives it out at finish().
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace miao::prep {

struct DecodeStep {
  enum class Kind {
    byte_level,     // GPT-2's alphabet to bytes
    word_piece,     // "##x" joins, anything else gets a space; `flag`: clean up punctuation
    metaspace,      // `a` to ' '; `flag`: dropped in the first piece
    suffix,         // `a` to ' ', or to nothing in the last piece
    replace,        // `a` to `b`
    byte_fallback,  // "<0x41>" to bytes
    fuse,           // the pieces become one text
    strip,          // up to `start` and `stop` times `a` at the ends of a piece (of the text behind fuse)
  };
  Kind kind = Kind::replace;
  std::string a, b;
  int start = 0, stop = 0;
  bool flag = false;
};

struct Decoder {
  static constexpr size_t kMaxSteps = 16;  // also bounds the depth of DecodeMachine::feed
  std::vector<DecodeStep> steps;
  std::string separator;  // between pieces: " " when a tokenizer has no decoder
};

class DecodeMachine {
 public:
  // `stream`: bytes of byte_fallback are handed on as soon as they complete a code point; otherwise a run of them
  // stays whole, and one bad byte turns each byte of the run into U+FFFD, as in Hugging Face's decoder.
  DecodeMachine(const Decoder& decoder, bool stream);
  void push(std::string_view piece);
  // Hands on all that is complete: valid UTF-8.
  std::string take();
  // The rest; the machine is as new afterwards.
  std::string finish();

 private:
  struct State {
    bool first = true;
    bool pending = false;  // `held` holds a piece
    std::string held;
    int stripped = 0;
  };
  void feed(size_t at, std::string_view piece);
  void feed_fallback(size_t at, std::string_view piece);
  void release_bytes(size_t at, bool all);
  void feed_strip(size_t at, std::string_view piece);
  bool fused_before(size_t at) const;

  const Decoder* decoder_;
  bool stream_;
  std::vector<State> states_;
  bool any_ = false;
  std::string out_;    // valid UTF-8
  std::string bytes_;  // behind it, perhaps the beginning of a code point
};

}  // namespace miao::prep
