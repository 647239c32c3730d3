// Files that are no model: what their first bytes say they are, and what to do about it. Also names in messages.
#include <algorithm>
#include <string_view>

#include "io/files/format.h"

namespace miao::io {

namespace {

struct Signature {
  std::string_view bytes;
  size_t offset;
  Code code;
  const char* message;
};

using namespace std::string_view_literals;

constexpr std::string_view kLfsPointer = "version https://git-lfs";
constexpr const char* kFetchAgain =
    "is a web page, not a model: the download failed, fetch it again with the file's direct address";
constexpr const char* kPickle =
    "is a PyTorch checkpoint (a pickle, which can run code); convert it to safetensors, or take a repository that has "
    "model.safetensors";
constexpr const char* kOldGgml = "is a GGML file from before GGUF; get the GGUF of this model";

constexpr Signature kSignatures[] = {
    {kLfsPointer, 0, Code::invalid,
     "is a Git LFS pointer, not the file itself: run 'git lfs pull' in its directory, or fetch it again"},
    {"FUGG"sv, 0, Code::unsupported, "is a big-endian GGUF file; get the little-endian one of this model"},
    {"<!"sv, 0, Code::invalid, kFetchAgain},
    {"<html"sv, 0, Code::invalid, kFetchAgain},
    {"<HTML"sv, 0, Code::invalid, kFetchAgain},
    {"<?xml"sv, 0, Code::invalid, kFetchAgain},
    {"PK\x03\x04"sv, 0, Code::unsupported, kPickle},
    {"\x80\x02"sv, 0, Code::unsupported, kPickle},
    {"\x80\x03"sv, 0, Code::unsupported, kPickle},
    {"\x80\x04"sv, 0, Code::unsupported, kPickle},
    {"lmgg"sv, 0, Code::unsupported, kOldGgml},
    {"fmgg"sv, 0, Code::unsupported, kOldGgml},
    {"tjgg"sv, 0, Code::unsupported, kOldGgml},
    {"algg"sv, 0, Code::unsupported, "is an old GGML adapter (LoRA), not a model"},
    {"\x89HDF\r\n\x1a\n"sv, 0, Code::unsupported,
     "is an HDF5 file (TensorFlow); take a repository that has model.safetensors"},
    {"\x1f\x8b"sv, 0, Code::unsupported, "is compressed with gzip; unpack it first"},
    {"\x28\xb5\x2f\xfd"sv, 0, Code::unsupported, "is compressed with zstd; unpack it first"},
    {"\xfd"
     "7zXZ\0"sv,
     0, Code::unsupported, "is compressed with xz; unpack it first"},
    {"7z\xbc\xaf\x27\x1c"sv, 0, Code::unsupported, "is a 7z archive; unpack it first"},
    {"ustar"sv, 257, Code::unsupported, "is a tar archive; unpack it first"},
    {"\x93NUMPY"sv, 0, Code::unsupported, "is a NumPy array, not a model"},
    {"{\"error\""sv, 0, Code::invalid, "is an error answer from a server: the download failed, fetch it again"},
    {"{"sv, 0, Code::invalid,
     "is a JSON text, not a model; give the directory that holds it, or the file with the weights"},
    {std::string_view("["), 0, Code::invalid, "is a JSON text, not a model; give the file with the weights"},
};

}  // namespace

std::optional<Error> recognise_foreign(Bytes bytes, const std::string& path) {
  if (bytes.empty()) return Error{Code::invalid, "is empty; fetch it again", path};
  const std::string_view text{reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 512)};
  if (text.find_first_not_of('\0') == std::string_view::npos) {
    return Error{Code::corrupt, "begins with zeros only: the download is incomplete, fetch it again", path};
  }
  const size_t blank = std::min(text.find_first_not_of(" \t\r\n"), text.size());
  for (const Signature& s : kSignatures) {
    const bool is_text = s.bytes[0] == '<' || s.bytes[0] == '{' || s.bytes[0] == '[';
    const size_t offset = is_text ? blank : s.offset;
    if (text.size() >= offset && text.substr(offset).starts_with(s.bytes)) return Error{s.code, s.message, path};
  }
  return std::nullopt;
}

Error foreign_file(Bytes bytes, const std::string& path) {
  if (auto known = recognise_foreign(bytes, path)) return std::move(*known);
  if (bytes.size() < 16) {
    return {Code::corrupt, "holds only " + std::to_string(bytes.size()) + " bytes: no model, fetch it again", path};
  }
  return {Code::invalid,
          "is neither GGUF nor safetensors nor CTranslate2 (it begins with " +
              in_quotes({reinterpret_cast<const char*>(bytes.data()), 8}) +
              "); give a .gguf file, a .safetensors file or a model directory",
          path};
}

bool is_lfs_pointer(std::string_view text) { return text.starts_with(kLfsPointer); }

std::string in_quotes(std::string_view name) {
  static constexpr char kHex[] = "0123456789abcdef";
  static constexpr size_t kMax = 80;
  std::string out = "\"";
  for (const char c : name.substr(0, kMax)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
  return out + (name.size() > kMax ? "...\"" : "\"");
}

bool plain_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte != 0x7f;
  });
}

Result<uint64_t> header_bytes(Bytes head, uint64_t file_bytes, const std::string& path) {
  if (looks_like_gguf(head)) return gguf_header_bytes(head, file_bytes, path);
  if (auto foreign = recognise_foreign(head, path)) return std::move(*foreign);
  if (path.ends_with(".safetensors") || looks_like_safetensors(head))
    return safetensors_header_bytes(head, file_bytes, path);
  if (looks_like_ct2(head)) {
    return Error{Code::unsupported, "is a CTranslate2 model, whose sizes stand between its weights; fetch it first",
                 path};
  }
  return foreign_file(head, path);
}

}  // namespace miao::io
