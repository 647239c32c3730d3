// Reads SentencePiece's model files; see spm_file.h. Messages are nested two deep by their format, so nothing recurses.
#include "prep/tok/spm_file.h"

#include <bit>
#include <cmath>
#include <string>

#include "prep/tok/data.h"
#include "prep/tok/unicode.h"

namespace miao::prep {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

Error corrupt(std::string message) {
  return {Code::corrupt, std::move(message) + "; is this a SentencePiece model? Fetch it again"};
}

struct Field {
  uint32_t number = 0;
  uint32_t type = kVarint;
  uint64_t value = 0;      // of kVarint, kFixed32, kFixed64
  std::string_view bytes;  // of kBytes

  Error wrong_type() const {
    return corrupt("field " + std::to_string(number) + " has the wire type " + std::to_string(type));
  }
  Result<std::string_view> text() const {
    if (type != kBytes) return wrong_type();
    return bytes;
  }
  Result<bool> flag() const {
    if (type != kVarint) return wrong_type();
    return value != 0;
  }
  Result<int32_t> integer() const {
    if (type != kVarint) return wrong_type();
    return static_cast<int32_t>(value);
  }
  Result<float> number32() const {
    if (type != kFixed32) return wrong_type();
    return std::bit_cast<float>(static_cast<uint32_t>(value));
  }
};

// The fields of one message, in the order of the file.
class Fields {
 public:
  explicit Fields(std::string_view message) : message_(message) {}

  bool more() const { return at_ < message_.size(); }
  Result<Field> next() {
    MIAO_TRY(const uint64_t tag, varint());
    Field field{.number = static_cast<uint32_t>(tag >> 3), .type = static_cast<uint32_t>(tag & 7)};
    if (field.number == 0 || tag >> 3 > kMaxNumber) return bad("a field number out of range");
    switch (field.type) {
      case kVarint: {
        MIAO_TRY(field.value, varint());
        return field;
      }
      case kFixed64:
      case kFixed32: {
        MIAO_TRY(const std::string_view raw, take(field.type == kFixed64 ? 8 : 4));
        for (size_t i = raw.size(); i > 0; --i) field.value = field.value << 8 | static_cast<uint8_t>(raw[i - 1]);
        return field;
      }
      case kBytes: {
        MIAO_TRY(const uint64_t size, varint());
        MIAO_TRY(field.bytes, take(size));
        return field;
      }
      default:
        return bad("the wire type " + std::to_string(field.type));
    }
  }

 private:
  static constexpr uint64_t kMaxNumber = (1 << 29) - 1;

  Error bad(std::string what) const { return corrupt(what + " at byte " + std::to_string(at_) + " of a message"); }

  Result<uint64_t> varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (!more()) return bad("the end of the message inside a number");
      const auto byte = static_cast<uint8_t>(message_[at_++]);
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
    return bad("a number of more than ten bytes");
  }

  Result<std::string_view> take(uint64_t size) {
    if (size > message_.size() - at_) {
      return bad("a value of " + std::to_string(size) + " bytes with " + std::to_string(message_.size() - at_) +
                 " left");
    }
    const std::string_view out = message_.substr(at_, size);
    at_ += size;
    return out;
  }

  std::string_view message_;
  size_t at_ = 0;
};

// Calls each(field) for the fields of a message.
template <class Each>
Result<void> walk(std::string_view message, const Each& each) {
  for (Fields fields(message); fields.more();) {
    MIAO_TRY(const Field field, fields.next());
    MIAO_CHECK_OK(each(field));
  }
  return {};
}

Result<void> read_piece(std::string_view message, SpmFile& out) {
  const std::string name = "piece " + std::to_string(out.pieces.size());
  if (out.size() >= TokenizerData::kMaxVocab) return corrupt("there are too many pieces");
  SpmFile::Piece piece;
  MIAO_CHECK_OK(walk(message, [&](const Field& f) -> Result<void> {
    if (f.number == 1) {
      MIAO_TRY(piece.text, f.text());
    } else if (f.number == 2) {
      MIAO_TRY(piece.score, f.number32());
    } else if (f.number == 3) {
      MIAO_TRY(const int32_t type, f.integer());
      if (type < 1 || type > 6) return corrupt(name + " is of the type " + std::to_string(type));
      piece.type = static_cast<SpmFile::Type>(type);
    }
    return {};
  }));
  if (piece.text.empty()) return corrupt(name + " is empty");
  if (piece.text.size() > TokenizerData::kMaxTokenBytes)
    return corrupt(name + " has " + std::to_string(piece.text.size()) + " bytes");
  if (!is_utf8(piece.text)) return corrupt(name + " is not valid UTF-8");
  if (!std::isfinite(piece.score)) return corrupt("the score of " + name + " is not finite");
  if (piece.type == SpmFile::Type::unknown) {
    if (out.unk >= 0) return corrupt("there are two unknown pieces, " + std::to_string(out.unk) + " and " + name);
    out.unk = out.size();
  }
  out.pieces.push_back(piece);
  return {};
}

Result<void> read_trainer(std::string_view message, SpmFile& out, int32_t* model_type) {
  return walk(message, [&](const Field& f) -> Result<void> {
    switch (f.number) {
      case 3: {
        MIAO_TRY(*model_type, f.integer());
        return {};
      }
      case 24: {
        MIAO_TRY(out.whitespace_suffix, f.flag());
        return {};
      }
      case 35: {
        MIAO_TRY(out.byte_fallback, f.flag());
        return {};
      }
      case 41: {
        MIAO_TRY(out.bos, f.integer());
        return {};
      }
      case 42: {
        MIAO_TRY(out.eos, f.integer());
        return {};
      }
      case 43: {
        MIAO_TRY(out.pad, f.integer());
        return {};
      }
      default:
        return {};
    }
  });
}

Result<void> read_normalizer(std::string_view message, SpmFile& out) {
  return walk(message, [&](const Field& f) -> Result<void> {
    if (f.number == 2) {
      MIAO_TRY(out.charsmap, f.text());
    } else if (f.number >= 3 && f.number <= 5) {
      bool& flag = f.number == 3   ? out.add_dummy_prefix
                   : f.number == 4 ? out.remove_extra_whitespaces
                                   : out.escape_whitespaces;
      MIAO_TRY(flag, f.flag());
    }
    return {};
  });
}

// The pieces of type byte are <0x00> to <0xFF>, all or none of them.
Result<void> check_bytes(const SpmFile& file) {
  std::array<bool, 256> seen{};
  size_t found = 0;
  for (int32_t id = 0; id < file.size(); ++id) {
    const SpmFile::Piece& piece = file.pieces[static_cast<size_t>(id)];
    if (piece.type != SpmFile::Type::byte) continue;
    constexpr std::string_view kHex = "0123456789ABCDEF";
    const std::string_view t = piece.text;
    const size_t high = t.size() == 6 ? kHex.find(t[3]) : kHex.npos, low = t.size() == 6 ? kHex.find(t[4]) : kHex.npos;
    if (high == kHex.npos || low == kHex.npos || !t.starts_with("<0x") || t[5] != '>') {
      return corrupt("the byte piece " + std::to_string(id) + " is not spelled <0x00> to <0xFF>");
    }
    found += !seen[high * 16 + low];
    seen[high * 16 + low] = true;
  }
  if (found != (file.byte_fallback ? seen.size() : 0)) {
    return corrupt("there are pieces for " + std::to_string(found) + " bytes, but byte_fallback is " +
                   (file.byte_fallback ? "on" : "off"));
  }
  return {};
}

}  // namespace

Result<SpmFile> parse_spm(std::string_view bytes) {
  SpmFile out;
  int32_t model_type = 1;
  MIAO_CHECK_OK(walk(bytes, [&](const Field& f) -> Result<void> {
    if (f.number < 1 || f.number > 3) return {};
    MIAO_TRY(const std::string_view message, f.text());
    if (f.number == 1) return read_piece(message, out);
    return f.number == 2 ? read_trainer(message, out, &model_type) : read_normalizer(message, out);
  }));
  if (out.pieces.empty()) return corrupt("there is no piece");
  if (out.unk < 0) return corrupt("there is no piece for unknown text");
  if (model_type == 3 || model_type == 4) {
    return Error{Code::unsupported, std::string("a SentencePiece model of ") +
                                        (model_type == 3 ? "words" : "characters") +
                                        " is not usable here; unigram and bpe are (--model_type of spm_train)"};
  }
  if (model_type != 1 && model_type != 2) return corrupt("the model type is " + std::to_string(model_type));
  out.algorithm = static_cast<SpmFile::Algorithm>(model_type);
  MIAO_CHECK_OK(check_bytes(out));
  return out;
}

}  // namespace miao::prep
