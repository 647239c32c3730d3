// The model.bin of CTranslate2, version 6 (docs/formats/ct2.md has every rule):
//
//   u32 6 | string spec | u32 revision | u32 n | n variables | u32 m | m aliases
//   variable = string name, u8 rank, u32 dims[rank], u8 type, u32 bytes, data       alias = string alias, string name
//   string   = u16 length, bytes, the last one NUL
//
// Nothing is aligned, and the next variable is found only by the bytes of the one before: each of them must agree with
// its shape, and the last alias must end with the file.
#include <algorithm>
#include <array>
#include <unordered_map>

#include "base/checked.h"
#include "io/files/byte_reader.h"
#include "io/files/format.h"

namespace miao::io {

namespace {

constexpr uint32_t kVersion = 6;
constexpr uint32_t kMaxVersion = 255;  // beyond it: not a version
constexpr uint32_t kMaxVariables = 1 << 20, kMaxAliases = 1 << 16;
constexpr uint32_t kMaxRank = 8;
constexpr uint64_t kMinString = 2 + 1 + 1;
constexpr uint64_t kMinVariable = kMinString + 1 + 1 + 4, kMinAlias = 2 * kMinString;
constexpr std::array kTypes = {DType::f32, DType::i8, DType::i16, DType::i32, DType::f16, DType::bf16};

// Takes a string with its NUL; false where the bytes end before it does. The NUL is for the caller to check.
bool read_string(ByteReader& reader, std::string_view& out) {
  uint16_t size = 0;
  return reader.number(size) && reader.text(size, out);
}

// Takes the NUL off and says whether a name is left.
bool is_name(std::string_view& text) {
  if (!text.ends_with('\0')) return false;
  text.remove_suffix(1);
  return plain_name(text);
}

class Ct2Parser {
 public:
  Ct2Parser(Bytes bytes, const std::string& path) : bytes_(bytes), path_(path), reader_(bytes) {
    out_.meta = KeyValues(path);
  }

  Result<ParsedFile> parse() {
    MIAO_CHECK_OK(header());
    MIAO_TRY(const uint32_t variables, count("variables", kMaxVariables, kMinVariable));
    out_.tensors.reserve(variables);
    for (uint32_t i = 0; i < variables; ++i) MIAO_CHECK_OK(variable(i));
    MIAO_TRY(const uint32_t aliases, count("aliases", kMaxAliases, kMinAlias));
    for (uint32_t i = 0; i < aliases; ++i) MIAO_CHECK_OK(alias(i));
    if (reader_.remaining() == 0) return std::move(out_);
    return damaged("goes on for " + std::to_string(reader_.remaining()) + " bytes after its last alias");
  }

 private:
  Error damaged(std::string message) const {
    return {Code::corrupt,
            std::move(message) + " (near byte " + std::to_string(reader_.offset()) +
                "): the file is damaged, fetch it again",
            path_};
  }
  Error truncated(const std::string& what) const {
    return {Code::corrupt,
            "ends at byte " + std::to_string(bytes_.size()) + ", inside " + what +
                ": the file is incomplete, fetch it again",
            path_};
  }

  Result<void> header() {
    uint32_t version = 0, revision = 0;
    std::string_view spec;
    if (!reader_.number(version) || !read_string(reader_, spec) || !reader_.number(revision)) {
      return truncated("the header");
    }
    if (version != kVersion) {
      return Error{Code::unsupported,
                   "has CTranslate2 model version " + std::to_string(version) + ", miao reads " +
                       std::to_string(kVersion) + "; convert the model again with a current converter",
                   path_};
    }
    if (!is_name(spec)) return damaged("has a specification without a name");
    out_.meta.set("ct2.spec", spec);
    out_.meta.set("ct2.revision", int64_t{revision});
    return {};
  }

  Result<uint32_t> count(const char* what, uint32_t most, uint64_t least_bytes) {
    uint32_t n = 0;
    if (!reader_.number(n)) return truncated(std::string("the number of ") + what);
    if (n > most) {
      return damaged("declares " + std::to_string(n) + ' ' + what + ", more than " + std::to_string(most));
    }
    if (n > reader_.remaining() / least_bytes) return truncated("its " + std::to_string(n) + ' ' + what);
    return n;
  }

  Result<void> variable(uint32_t index) {
    std::string who = "variable " + std::to_string(index);
    std::string_view name;
    if (!read_string(reader_, name)) return truncated("the name of " + who);
    if (!is_name(name)) return damaged(who + " has no name, or one that is not plain text ending in a NUL");
    who = "variable " + in_quotes(name);
    TensorView view{.name = std::string(name)};

    uint8_t rank = 0, type = 0;
    if (!reader_.number(rank)) return truncated(who);
    if (rank > kMaxRank) return damaged(who + " has " + std::to_string(rank) + " dimensions, more than 8");
    uint64_t elements = 1;
    for (int i = 0; i < rank; ++i) {
      uint32_t dim = 0;
      if (!reader_.number(dim)) return truncated(who);
      const auto product = checked_mul(elements, dim);
      if (!product || *product > INT64_MAX) return damaged(who + " has a shape too large to count");
      elements = *product;
      view.shape.push_back(dim);
    }

    uint32_t bytes = 0;
    if (!reader_.number(type) || !reader_.number(bytes)) return truncated(who);
    if (type >= kTypes.size()) {
      return Error{Code::unsupported,
                   who + " has type " + std::to_string(type) + ", which miao does not know; it knows 0 to 5", path_};
    }
    view.dtype = kTypes[type];
    const auto needed = checked_mul(elements, static_cast<uint64_t>(format(view.dtype).bytes));
    if (!needed || *needed != bytes) {
      return damaged(
          who + " has " + std::to_string(bytes) + " bytes, " +
          (needed ? "but its shape and type need " + std::to_string(*needed) : "fewer than its shape needs"));
    }
    std::string_view data;
    if (!reader_.text(bytes, data)) return truncated("the data of " + who);
    view.bytes = bytes;
    view.data = reinterpret_cast<const std::byte*>(data.data());
    if (!add(std::move(view))) return damaged(who + " appears twice");
    return {};
  }

  Result<void> alias(uint32_t index) {
    const std::string who = "alias " + std::to_string(index);
    std::string_view alias, name;
    if (!read_string(reader_, alias) || !read_string(reader_, name)) return truncated(who);
    if (!is_name(alias) || !is_name(name)) {
      return damaged(who + " has no name, or one that is not plain text ending in a NUL");
    }
    const auto target = by_name_.find(std::string(name));
    if (target == by_name_.end()) {
      return damaged(who + ' ' + in_quotes(alias) + " stands for " + in_quotes(name) + ", which is not there");
    }
    if (!add_as(std::string(alias), target->second)) return damaged(who + ' ' + in_quotes(alias) + " appears twice");
    // The scales of a quantised variable go with it, as CTranslate2 has it.
    const auto scale = by_name_.find(std::string(name) + "_scale");
    if (scale != by_name_.end()) add_as(std::string(alias) + "_scale", scale->second);
    return {};
  }

  bool add(TensorView view) {
    if (!by_name_.emplace(view.name, out_.tensors.size()).second) return false;
    out_.tensors.push_back(std::move(view));
    return true;
  }
  bool add_as(std::string alias, size_t index) {
    TensorView view = out_.tensors[index];
    view.name = std::move(alias);
    return add(std::move(view));
  }

  Bytes bytes_;
  const std::string& path_;
  ByteReader reader_;
  ParsedFile out_;
  std::unordered_map<std::string, size_t> by_name_;
};

}  // namespace

// There is no magic number: a small version, and a name of letters and digits with its NUL.
bool looks_like_ct2(Bytes bytes) {
  ByteReader reader(bytes);
  uint32_t version = 0;
  std::string_view spec;
  return reader.number(version) && version >= 1 && version <= kMaxVersion && read_string(reader, spec) &&
         is_name(spec) && std::all_of(spec.begin(), spec.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
         });
}

Result<ParsedFile> parse_ct2(Bytes bytes, const std::string& path) {
  if (!looks_like_ct2(bytes)) return foreign_file(bytes, path);
  return Ct2Parser(bytes, path).parse();
}

}  // namespace miao::io
