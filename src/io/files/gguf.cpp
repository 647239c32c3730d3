// GGUF versions 2 and 3, as ggml writes them (docs/formats/gguf.md has every rule):
//
//   "GGUF" | u32 version | u64 tensors | u64 keys | key/values | tensor infos | pad | data, each tensor padded
//   string = u64 length, bytes     array = u32 element type, u64 count, elements
//   info   = string name, u32 n_dims, u64 ne[n_dims] (innermost first), u32 type, u64 offset into the data
//
// Every count is held against a cap and against the bytes that are left before anything is allocated, sizes go through
// base/checked.h, and tensors must follow one another without gaps, so that no two views can overlap.
#include <algorithm>
#include <optional>
#include <type_traits>
#include <unordered_set>

#include "base/checked.h"
#include "io/files/byte_reader.h"
#include "io/files/format.h"
#include "io/files/gguf_limits.h"

namespace miao::io {

namespace {

constexpr uint64_t kMaxStringBytes = 16 << 20;
constexpr uint64_t kMaxArrayElements = 1 << 24;  // of all arrays of a file together
constexpr uint64_t kMinKeyBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kMinInfoBytes = 8 + 1 + 4 + 4 + 8;

constexpr uint32_t of(GgufType type) { return static_cast<uint32_t>(type); }
constexpr uint32_t kBool = of(GgufType::boolean), kString = of(GgufType::string), kArray = of(GgufType::array);
constexpr uint32_t kValueTypes = of(GgufType::count);
// Least bytes an element of each type takes.
constexpr uint64_t kElementBytes[kValueTypes] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

// ggml types that miao has no row for, so that the message can name them.
struct ForeignType {
  uint32_t id;
  const char* name;
  bool removed;
};
constexpr ForeignType kForeignTypes[] = {
    {4, "Q4_2", true},        {5, "Q4_3", true},        {9, "Q8_1", false},       {15, "Q8_K", false},
    {16, "IQ2_XXS", false},   {17, "IQ2_XS", false},    {18, "IQ3_XXS", false},   {19, "IQ1_S", false},
    {21, "IQ3_S", false},     {22, "IQ2_S", false},     {29, "IQ1_M", false},     {31, "Q4_0_4_4", true},
    {32, "Q4_0_4_8", true},   {33, "Q4_0_8_8", true},   {34, "TQ1_0", false},     {35, "TQ2_0", false},
    {36, "IQ4_NL_4_4", true}, {37, "IQ4_NL_4_8", true}, {38, "IQ4_NL_8_8", true}, {40, "NVFP4", false},
    {41, "Q1_0", false},      {42, "Q2_0", false},
};

std::string known_types() {
  std::string out;
  for (const Format& f : all_formats()) {
    if (f.gguf < 0 || !f.decode) continue;
    if (!out.empty()) out += ' ';
    out += f.name;
  }
  return out;
}

class GgufParser {
 public:
  GgufParser(Bytes bytes, const std::string& path, uint64_t file_bytes)
      : bytes_(bytes), file_bytes_(file_bytes), path_(path), reader_(bytes) {
    out_.meta = KeyValues(path);
  }

  Result<ParsedFile> parse() {
    MIAO_CHECK_OK(header());
    for (uint64_t i = 0; i < keys_; ++i) MIAO_CHECK_OK(key_value(i));
    out_.tensors.reserve(tensors_);
    names_.reserve(tensors_);
    for (uint64_t i = 0; i < tensors_; ++i) MIAO_CHECK_OK(tensor_info(i));
    MIAO_CHECK_OK(place_tensors());
    return std::move(out_);
  }

  uint64_t header_end() const { return reader_.offset(); }  // after parse()
  uint64_t wanted() const { return reader_.wanted(); }      // after an Error

 private:
  struct Extent {
    uint64_t offset, bytes;
  };

  Error corrupt(std::string message) const {
    return {Code::corrupt, std::move(message) + " (near byte " + std::to_string(reader_.offset()) + ")", path_};
  }
  Error truncated(const std::string& what) const {
    return {
        Code::corrupt,
        "ends at byte " + std::to_string(file_bytes_) + ", inside " + what + ": the file is incomplete, fetch it again",
        path_};
  }
  Error damaged(std::string message) const {
    return corrupt(std::move(message) + ": the file is damaged, fetch it again");
  }

  Result<void> header() {
    std::string_view magic;
    uint32_t version = 0;
    if (!reader_.text(4, magic) || !reader_.number(version)) return truncated("the header");
    if (version != 0 && (version & 0xffff) == 0) {
      return Error{Code::unsupported, "is a big-endian GGUF file; get the little-endian one of this model", path_};
    }
    if (version < 2 || version > 3) {
      return Error{Code::unsupported,
                   "has GGUF version " + std::to_string(version) +
                       ", miao reads 2 and 3; convert the model again with a current converter",
                   path_};
    }
    if (!reader_.number(tensors_) || !reader_.number(keys_)) return truncated("the header");
    if (tensors_ > kMaxTensors) {
      return damaged("declares " + std::to_string(tensors_) + " tensors, more than " + std::to_string(kMaxTensors));
    }
    if (keys_ > kMaxKeys)
      return damaged("declares " + std::to_string(keys_) + " keys, more than " + std::to_string(kMaxKeys));
    if (keys_ * kMinKeyBytes + tensors_ * kMinInfoBytes > left()) {
      return truncated("its " + std::to_string(keys_) + " keys and " + std::to_string(tensors_) +
                       " tensor descriptions");
    }
    return {};
  }

  uint64_t left() const { return file_bytes_ - reader_.offset(); }

  // A string of at most `limit` bytes; `what` names it in messages.
  Result<void> text(std::string_view& out, uint64_t limit, const char* what) {
    uint64_t size = 0;
    if (!reader_.number(size)) return truncated(what);
    if (size > limit) {
      return damaged(std::string(what) + " is " + std::to_string(size) + " bytes long, more than " +
                     std::to_string(limit));
    }
    if (!reader_.text(size, out)) return truncated(what);
    return {};
  }

  Result<void> key_value(uint64_t index) {
    std::string_view key;
    MIAO_CHECK_OK(text(key, kMaxKeyNameBytes, "the name of a key"));
    if (!plain_name(key)) {
      return damaged("key " + std::to_string(index) + " has the name " + in_quotes(key) +
                     (key.empty() ? "" : " with control characters"));
    }
    uint32_t type = 0;
    if (!reader_.number(type)) return truncated("key " + in_quotes(key));
    if (key == "general.alignment" && type != of(GgufType::u32)) {
      return corrupt("key \"general.alignment\" is not an unsigned 32-bit number");
    }
    const uint64_t start = reader_.offset();
    auto parsed = value(type);
    if (!parsed) return std::move(parsed.error()).at(path_ + ": key " + in_quotes(key));
    if (key == "general.alignment") {
      const auto alignment = static_cast<uint64_t>(*std::get_if<int64_t>(&*parsed));
      if (alignment < kMinAlignment || alignment > kMaxAlignment || (alignment & (alignment - 1)) != 0) {
        return corrupt("key \"general.alignment\" is " + std::to_string(alignment) +
                       ", not a power of two from 8 to 65536");
      }
      alignment_ = alignment;
    }
    if (!out_.meta.set(std::string(key), std::move(*parsed)))
      return damaged("key " + in_quotes(key) + " appears twice");
    out_.gguf_keys.push_back({key, static_cast<GgufType>(type), bytes_.subspan(start, reader_.offset() - start)});
    return {};
  }

  // Errors of value() carry no place; key_value() adds it.
  static Error bad_value(std::string message, Code code = Code::corrupt) { return {code, std::move(message), {}}; }
  static Error cut_value() { return bad_value("the file ends inside its value: it is incomplete, fetch it again"); }

  Result<KeyValues::Value> value(uint32_t type) {
    if (type == kString) {
      std::string_view text;
      MIAO_CHECK_OK(text_value(text));
      return KeyValues::Value(text);
    }
    if (type == kArray) return array_value();
    MIAO_TRY(KeyValues::Value list, numbers(type, 1));
    if (auto* ints = std::get_if<KeyValues::Ints>(&list)) {
      if (type == kBool) return KeyValues::Value(ints->front() != 0);
      return KeyValues::Value(ints->front());
    }
    return KeyValues::Value(std::get_if<KeyValues::Floats>(&list)->front());
  }

  Result<void> text_value(std::string_view& out) {
    uint64_t size = 0;
    if (!reader_.number(size)) return cut_value();
    if (size > kMaxStringBytes) {
      return bad_value("a string of " + std::to_string(size) + " bytes is over the limit of 16 MiB");
    }
    if (!reader_.text(size, out)) return cut_value();
    return {};
  }

  Result<KeyValues::Value> array_value() {
    uint32_t type = 0;
    uint64_t count = 0;
    if (!reader_.number(type) || !reader_.number(count)) return cut_value();
    if (type == kArray) return bad_value("holds arrays within an array, which miao does not read", Code::unsupported);
    if (type >= kValueTypes) return unknown_type(type);
    elements_ += std::min(count, kMaxArrayElements + 1);
    if (elements_ > kMaxArrayElements) {
      return bad_value("an array of " + std::to_string(count) + " elements is over the limit of " +
                       std::to_string(kMaxArrayElements) + " for a file");
    }
    if (count > left() / kElementBytes[type]) return cut_value();
    if (type != kString) return numbers(type, count);
    KeyValues::Strings strings(count);
    for (std::string_view& text : strings) MIAO_CHECK_OK(text_value(text));
    return KeyValues::Value(std::move(strings));
  }

  static Error unknown_type(uint32_t type) {
    return bad_value("has value type " + std::to_string(type) + ", which GGUF does not define: the file is damaged");
  }

  // `count` numbers of a type as Ints or Floats.
  Result<KeyValues::Value> numbers(uint32_t type, uint64_t count) {
    switch (type) {
      case of(GgufType::u8):
        return read_numbers<uint8_t>(count);
      case of(GgufType::i8):
        return read_numbers<int8_t>(count);
      case of(GgufType::u16):
        return read_numbers<uint16_t>(count);
      case of(GgufType::i16):
        return read_numbers<int16_t>(count);
      case of(GgufType::u32):
        return read_numbers<uint32_t>(count);
      case of(GgufType::i32):
        return read_numbers<int32_t>(count);
      case of(GgufType::f32):
        return read_numbers<float>(count);
      case kBool:
        return read_numbers<bool>(count);
      case of(GgufType::u64):
        return read_numbers<uint64_t>(count);
      case of(GgufType::i64):
        return read_numbers<int64_t>(count);
      case of(GgufType::f64):
        return read_numbers<double>(count);
      default:
        return unknown_type(type);
    }
  }

  template <class T>
  Result<KeyValues::Value> read_numbers(uint64_t count) {
    using Raw = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
    std::conditional_t<std::is_floating_point_v<T>, KeyValues::Floats, KeyValues::Ints> out(count);
    for (auto& item : out) {
      Raw raw;
      if (!reader_.number(raw)) return cut_value();
      if constexpr (std::is_same_v<T, bool>) {
        if (raw > 1) return bad_value("is a boolean with the value " + std::to_string(raw));
      }
      if constexpr (std::is_same_v<T, uint64_t>) {
        if (raw > INT64_MAX) return bad_value("is " + std::to_string(raw) + ", more than 2^63 - 1", Code::unsupported);
      }
      item = static_cast<std::remove_reference_t<decltype(item)>>(raw);
    }
    return KeyValues::Value(std::move(out));
  }

  Result<void> tensor_info(uint64_t index) {
    std::string_view name;
    MIAO_CHECK_OK(text(name, kMaxTensorNameBytes, "the name of a tensor"));
    if (!plain_name(name)) {
      return damaged("tensor " + std::to_string(index) + " has the name " + in_quotes(name) +
                     (name.empty() ? "" : " with control characters"));
    }
    if (!names_.insert(name).second) return damaged("tensor " + in_quotes(name) + " appears twice");
    const std::string who = "tensor " + in_quotes(name);

    uint32_t dims = 0;
    if (!reader_.number(dims)) return truncated(who);
    if (dims > kMaxDims) return damaged(who + " has " + std::to_string(dims) + " dimensions, more than 4");
    TensorView view{.name = std::string(name)};
    view.shape.resize(dims);
    uint64_t elements = 1;
    for (uint32_t i = 0; i < dims; ++i) {
      uint64_t ne = 0;
      if (!reader_.number(ne)) return truncated(who);
      const auto product = checked_mul(elements, ne);
      if (ne == 0 || ne > INT64_MAX || !product || *product > INT64_MAX) {
        return damaged(who + " has dimension " + std::to_string(i) + " of " + std::to_string(ne) +
                       (ne == 0 ? "" : ", too large to count its elements"));
      }
      elements = *product;
      view.shape[dims - 1 - i] = static_cast<int64_t>(ne);
    }

    uint32_t type = 0;
    uint64_t offset = 0;
    if (!reader_.number(type) || !reader_.number(offset)) return truncated(who);
    const auto dtype = dtype_from_gguf(type);
    if (!dtype) return bad_tensor_type(who, type);
    const Format& f = format(*dtype);
    if (view.cols() % f.block != 0) {
      return damaged(who + " has rows of " + std::to_string(view.cols()) + " values, not whole " + f.name +
                     " blocks of " + std::to_string(f.block));
    }
    const auto bytes = checked_mul(elements / static_cast<uint64_t>(f.block), static_cast<uint64_t>(f.bytes));
    if (!bytes) return damaged(who + " is too large to count its bytes");
    view.dtype = *dtype;
    view.bytes = *bytes;
    out_.tensors.push_back(std::move(view));
    extents_.push_back({offset, *bytes});
    return {};
  }

  Error bad_tensor_type(const std::string& who, uint32_t type) const {
    for (const ForeignType& f : kForeignTypes) {
      if (f.id != type) continue;
      const std::string has = who + " has type " + f.name + " (" + std::to_string(type) + "), which ";
      if (f.removed) {
        return {Code::unsupported, has + "GGUF no longer has; quantise the model again with a current converter",
                path_};
      }
      return {Code::unsupported, has + "miao does not read; take a file of one of " + known_types(), path_};
    }
    return {Code::unsupported,
            who + " has type " + std::to_string(type) + " that miao does not know; it knows " + known_types(), path_};
  }

  // Tensors lie one after another from the first aligned byte after their descriptions.
  Result<void> place_tensors() {
    if (out_.tensors.empty()) return {};
    const auto start = checked_align(reader_.offset(), alignment_);
    uint64_t next = 0;  // offset into the data
    for (size_t i = 0; i < out_.tensors.size(); ++i) {
      TensorView& view = out_.tensors[i];
      const std::string who = "tensor " + in_quotes(view.name);
      const auto [offset, bytes] = extents_[i];
      if (offset % alignment_ != 0) {
        return damaged(who + " starts at " + std::to_string(offset) + ", not a multiple of the alignment " +
                       std::to_string(alignment_));
      }
      if (offset != next) {
        return damaged(who + " starts at " + std::to_string(offset) + " of the data where " + std::to_string(next) +
                       " is next");
      }
      const auto begin = start ? checked_add(*start, offset) : std::nullopt;
      if (!begin || *begin > file_bytes_ || bytes > file_bytes_ - *begin) {
        return truncated("the data of " + who + " (" + std::to_string(bytes) + " bytes from " +
                         (begin ? std::to_string(*begin) : "beyond 2^64") + ")");
      }
      if (bytes_.size() == file_bytes_) view.data = bytes_.data() + *begin;
      const auto end = checked_add(offset, bytes);
      const auto padded = end ? checked_align(*end, alignment_) : std::nullopt;
      if (!padded) return damaged(who + " ends beyond 2^64");
      next = *padded;
    }
    return {};
  }

  Bytes bytes_;
  uint64_t file_bytes_;  // more than bytes_ has where only the head of the file is there
  const std::string& path_;
  ByteReader reader_;
  ParsedFile out_;
  std::unordered_set<std::string_view> names_;
  std::vector<Extent> extents_;
  uint64_t tensors_ = 0, keys_ = 0, elements_ = 0;
  uint64_t alignment_ = kDefaultAlignment;
};

}  // namespace

bool looks_like_gguf(Bytes bytes) { return bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0; }

Result<ParsedFile> parse_gguf(Bytes bytes, const std::string& path, std::optional<uint64_t> file_bytes) {
  if (!looks_like_gguf(bytes)) return foreign_file(bytes, path);
  return GgufParser(bytes, path, file_bytes.value_or(bytes.size())).parse();
}

Result<uint64_t> gguf_header_bytes(Bytes head, uint64_t file_bytes, const std::string& path) {
  GgufParser parser(head, path, file_bytes);
  const auto parsed = parser.parse();
  if (parsed.ok()) return parser.header_end();
  if (parser.wanted() > head.size() && parser.wanted() <= file_bytes) return parser.wanted();
  return parsed.error();
}

}  // namespace miao::io
