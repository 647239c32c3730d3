// safetensors, by the rules of its reference implementation (docs/formats/safetensors.md has every rule):
//
//   u64 n | n bytes of JSON | data
//   {"__metadata__": {string: string}, NAME: {"dtype": "F32", "shape": [out, in], "data_offsets": [begin, end]}, ...}
//
// Offsets count from the first data byte. Sorted by offset the tensors fill the data exactly: no hole, no overlap, no
// byte left over. JSON goes through simdjson, which keeps repeated keys; they are refused here.
#include <simdjson.h>
#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <unordered_set>

#include "base/checked.h"
#include "io/files/byte_reader.h"
#include "io/files/format.h"
#include "io/files/safetensors_limits.h"

namespace miao::io {

namespace {

namespace dom = simdjson::dom;

constexpr size_t kMaxDepth = 16;

struct FileType {
  const char* name;
  uint64_t bits;
  std::optional<DType> dtype;  // none: miao does not read it
};
constexpr FileType kTypes[] = {
    {"F32", 32, DType::f32},   {"F16", 16, DType::f16},
    {"BF16", 16, DType::bf16}, {"F64", 64, DType::f64},
    {"I8", 8, DType::i8},      {"I16", 16, DType::i16},
    {"I32", 32, DType::i32},   {"I64", 64, DType::i64},
    {"U8", 8, DType::u8},      {"BOOL", 8, DType::boolean},
    {"U16", 16, {}},           {"U32", 32, {}},
    {"U64", 64, {}},           {"C64", 64, {}},
    {"F8_E4M3", 8, {}},        {"F8_E5M2", 8, {}},
    {"F8_E8M0", 8, {}},        {"F8_E4M3FNUZ", 8, {}},
    {"F8_E5M2FNUZ", 8, {}},    {"F6_E2M3", 6, {}},
    {"F6_E3M2", 6, {}},        {"F4", 4, {}},
};

struct Entry {
  TensorView view;
  uint64_t begin, end;
};

class SafetensorsParser {
 public:
  SafetensorsParser(Bytes bytes, const std::string& path, uint64_t file_bytes)
      : bytes_(bytes), file_bytes_(file_bytes), path_(path) {
    out_.meta = KeyValues(path);
  }

  Result<ParsedFile> parse() {
    ByteReader reader(bytes_);
    uint64_t size = 0;
    if (!reader.number(size)) return damaged("is shorter than the 8 bytes of a header's length");
    if (size > kMaxHeaderBytes) {
      return damaged("has a header length of " + std::to_string(size) + ", more than " +
                     std::to_string(kMaxHeaderBytes));
    }
    std::string_view text;
    if (!reader.text(size, text)) {
      return damaged("has a header of " + std::to_string(size) + " bytes but only " +
                     std::to_string(reader.remaining()) + " follow");
    }
    if (!text.starts_with('{')) return damaged("has a header that does not begin with '{'");
    if (bytes_.size() == file_bytes_) data_ = bytes_.data() + reader.offset();
    data_bytes_ = file_bytes_ - reader.offset();

    dom::parser parser;
    if (parser.allocate(text.size(), kMaxDepth) != simdjson::SUCCESS) {
      return Error{Code::out_of_memory, "not enough memory for a header of " + std::to_string(size) + " bytes", path_};
    }
    dom::object root;
    if (const auto error = parser.parse(text.data(), text.size(), /*realloc_if_needed=*/true).get(root)) {
      return damaged(std::string("has a header that is not valid JSON (") + simdjson::error_message(error) + ")");
    }
    MIAO_CHECK_OK(read_root(root));
    MIAO_CHECK_OK(place_tensors());
    return std::move(out_);
  }

 private:
  Error damaged(std::string message) const {
    return {Code::corrupt, std::move(message) + ": the file is damaged or incomplete, fetch it again", path_};
  }

  Result<void> read_root(const dom::object& root) {
    std::unordered_set<std::string_view> keys;
    for (const auto& [key, value] : root) {
      if (!keys.insert(key).second) return damaged("names " + in_quotes(key) + " twice in its header");
      if (key == "__metadata__") {
        MIAO_CHECK_OK(read_metadata(value));
        continue;
      }
      if (entries_.size() == kMaxTensors) return damaged("holds more than " + std::to_string(kMaxTensors) + " tensors");
      if (!plain_name(key) || key.size() > kMaxNameBytes) {
        return damaged("has a tensor name that is empty, longer than 4096 bytes or has control characters: " +
                       in_quotes(key));
      }
      MIAO_CHECK_OK(read_tensor(key, value));
    }
    return {};
  }

  Result<void> read_metadata(const dom::element& value) {
    dom::object object;
    if (value.get(object)) return damaged("has a __metadata__ that is not an object");
    for (const auto& [key, item] : object) {
      if (out_.meta.size() == kMaxMetadata) return damaged("has more than 65536 entries of __metadata__");
      std::string_view text;
      if (item.get(text)) return damaged("has the __metadata__ " + in_quotes(key) + " that is not a string");
      if (!out_.meta.set(std::string(key), out_.meta.intern(std::string(text)))) {
        return damaged("names " + in_quotes(key) + " twice in its __metadata__");
      }
    }
    return {};
  }

  Result<void> read_tensor(std::string_view name, const dom::element& value) {
    const std::string who = "tensor " + in_quotes(name);
    dom::object object;
    if (value.get(object)) return damaged(who + " is not described by an object");
    std::optional<dom::element> dtype, shape, offsets;
    std::vector<std::string_view> seen;
    for (const auto& [key, item] : object) {
      if (std::find(seen.begin(), seen.end(), key) != seen.end())
        return damaged(who + " has " + in_quotes(key) + " twice");
      if (seen.size() == 16) return damaged(who + " has more than 16 properties");
      seen.push_back(key);
      if (key == "dtype") dtype = item;
      if (key == "shape") shape = item;
      if (key == "data_offsets") offsets = item;
    }
    if (!dtype || !shape || !offsets) {
      return damaged(who + " lacks its " + (!dtype ? "dtype" : !shape ? "shape" : "data_offsets"));
    }

    std::string_view type_name;
    if (dtype->get(type_name)) return damaged(who + " has a dtype that is not a string");
    const auto* type =
        std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return t.name == type_name; });
    if (type == std::end(kTypes)) {
      return damaged(who + " has the dtype " + in_quotes(type_name) + ", which safetensors does not define");
    }

    Entry entry{.view = {.name = std::string(name)}};
    MIAO_CHECK_OK(read_offsets(who, *offsets, entry));
    MIAO_CHECK_OK(read_shape(who, *shape, *type, entry));
    if (!type->dtype) {
      return Error{
          Code::unsupported,
          who + " has the dtype " + type->name + ", which miao does not read; take weights in BF16, F16 or F32", path_};
    }
    entry.view.dtype = *type->dtype;
    entries_.push_back(std::move(entry));
    return {};
  }

  Result<void> read_offsets(const std::string& who, const dom::element& value, Entry& entry) const {
    dom::array pair;
    if (value.get(pair) || pair.size() != 2 || pair.at(0).get(entry.begin) || pair.at(1).get(entry.end)) {
      return damaged(who + " has data_offsets that are not two whole numbers");
    }
    if (entry.begin > entry.end || entry.end > data_bytes_) {
      return damaged(who + " lies at " + std::to_string(entry.begin) + ".." + std::to_string(entry.end) + " of " +
                     std::to_string(data_bytes_) + " bytes of data");
    }
    return {};
  }

  Result<void> read_shape(const std::string& who, const dom::element& value, const FileType& type, Entry& entry) const {
    dom::array dims;
    if (value.get(dims)) return damaged(who + " has a shape that is not an array");
    uint64_t elements = 1;
    for (const dom::element& item : dims) {
      uint64_t dim = 0;
      if (item.get(dim)) return damaged(who + " has a shape that is not made of whole numbers");
      if (entry.view.shape.size() == kMaxRank) return damaged(who + " has more than 8 dimensions");
      const auto product = checked_mul(elements, dim);
      if (!product || *product > INT64_MAX || dim > INT64_MAX) return damaged(who + " has a shape too large to count");
      elements = *product;
      entry.view.shape.push_back(static_cast<int64_t>(dim));
    }
    const auto bits = checked_mul(elements, type.bits);
    if (!bits) return damaged(who + " has a shape too large to count");
    if (*bits % 8 != 0) return damaged(who + " does not fill whole bytes");
    if (*bits / 8 != entry.end - entry.begin) {
      return damaged(who + " needs " + std::to_string(*bits / 8) + " bytes for its shape and dtype but has " +
                     std::to_string(entry.end - entry.begin));
    }
    entry.view.bytes = *bits / 8;
    return {};
  }

  Result<void> place_tensors() {
    std::stable_sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
    });
    uint64_t next = 0;
    out_.tensors.reserve(entries_.size());
    for (Entry& entry : entries_) {
      if (entry.begin != next) {
        return damaged("tensor " + in_quotes(entry.view.name) + " starts at " + std::to_string(entry.begin) +
                       " of the data where " + std::to_string(next) + " is next (a " +
                       (entry.begin > next ? "hole" : "overlap") + ")");
      }
      if (data_) entry.view.data = data_ + entry.begin;
      next = entry.end;
      out_.tensors.push_back(std::move(entry.view));
    }
    if (next != data_bytes_) {
      return damaged("has " + std::to_string(data_bytes_) + " bytes of data, but its tensors fill " +
                     std::to_string(next));
    }
    return {};
  }

  Bytes bytes_;
  uint64_t file_bytes_;              // more than bytes_ has where only the head of the file is there
  const std::byte* data_ = nullptr;  // null there
  uint64_t data_bytes_ = 0;
  const std::string& path_;
  std::vector<Entry> entries_;
  ParsedFile out_;
};

}  // namespace

bool looks_like_safetensors(Bytes bytes) {
  ByteReader reader(bytes);
  uint64_t size = 0;
  return reader.number(size) && size <= kMaxHeaderBytes && reader.remaining() > 0 && *reader.here() == std::byte{'{'};
}

Result<ParsedFile> parse_safetensors(Bytes bytes, const std::string& path, std::optional<uint64_t> file_bytes) {
  return SafetensorsParser(bytes, path, file_bytes.value_or(bytes.size())).parse();
}

Result<uint64_t> safetensors_header_bytes(Bytes head, uint64_t file_bytes, const std::string& path) {
  ByteReader reader(head);
  uint64_t size = 0;
  const bool there = reader.number(size);
  if (there && size <= kMaxHeaderBytes && size <= file_bytes - sizeof size) return sizeof size + size;
  if (!there && head.size() < file_bytes) return sizeof size;
  const auto parsed = SafetensorsParser(head, path, file_bytes).parse();
  return parsed.ok() ? Error{Code::corrupt, "has no header", path} : parsed.error();
}

}  // namespace miao::io
