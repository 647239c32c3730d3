// What a file format gives the Checkpoint: tensors and key/values parsed from the bytes of one file.
//
// Parsers work on a span of bytes (a mapping, or a fuzzer's buffer) and copy no weights: views and strings point into
// the span, which the caller keeps alive. A format is a pair of functions here and one row in checkpoint.cpp.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/key_values.h"
#include "base/result.h"
#include "io/gguf_metadata.h"
#include "tensor/tensor.h"

namespace miao::io {

struct ParsedFile {
  KeyValues meta;
  std::vector<TensorView> tensors;  // in file order
  std::vector<GgufKey> gguf_keys;   // of GGUF files: `meta` in file order and in the types that the file has
};

using Bytes = std::span<const std::byte>;

// `path` is used in messages only. Of a file of `file_bytes` whose first bytes alone are there, views have no data.
bool looks_like_gguf(Bytes bytes);
Result<ParsedFile> parse_gguf(Bytes bytes, const std::string& path, std::optional<uint64_t> file_bytes = {});
bool looks_like_safetensors(Bytes bytes);
Result<ParsedFile> parse_safetensors(Bytes bytes, const std::string& path, std::optional<uint64_t> file_bytes = {});
bool looks_like_ct2(Bytes bytes);
Result<ParsedFile> parse_ct2(Bytes bytes, const std::string& path);

// How many of the first bytes of a GGUF or safetensors file of `file_bytes` hold all but the tensors' data, as far as
// the bytes that are there tell: where that is more than they are, ask again with so many. Errors: those of the parser,
// unsupported for other kinds of files.
Result<uint64_t> header_bytes(Bytes head, uint64_t file_bytes, const std::string& path);
Result<uint64_t> gguf_header_bytes(Bytes head, uint64_t file_bytes, const std::string& path);
Result<uint64_t> safetensors_header_bytes(Bytes head, uint64_t file_bytes, const std::string& path);

// What a file that is no model turns out to be (a Git LFS pointer, a web page, a pickle, ...), with the mend: an Error
// for bytes of a known kind, or one for any.
std::optional<Error> recognise_foreign(Bytes bytes, const std::string& path);
Error foreign_file(Bytes bytes, const std::string& path);
bool is_lfs_pointer(std::string_view text);

// A name from a file made fit for a message: quoted, control characters and other non-ASCII bytes as \xNN, cut at 80
// bytes.
std::string in_quotes(std::string_view name);
// Whether the name is not empty and holds no control character.
bool plain_name(std::string_view name);

}  // namespace miao::io
