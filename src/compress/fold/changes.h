// What a fold does to each tensor of a GGUF file, and the file that comes of it.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "compress/fold.h"
#include "compress/fold/rotation.h"
#include "compress/gguf_copy.h"
#include "io/checkpoint.h"

namespace miao::compress {

// Of a matrix W (rows, cols), in this order: W diag(cols) (in) and diag(rows) (out)^T W. Rotations act on one segment
// of their size after the other. Vectors are rows: they have `cols` and `in`.
struct Change {
  std::vector<float> cols, rows;
  const Rotation* in = nullptr;
  const Rotation* out = nullptr;
  bool ones = false;    // all values become 1
  std::string of = {};  // a new tensor: made of this one, which stays
};
using Changes = std::map<std::string, Change, std::less<>>;

// The file with these changes, as it is read back and computes: Error unsupported where that is not what `model` does.
Result<GgufCopy> write_changed(const io::Checkpoint& model, const std::filesystem::path& beside, const Changes& changes,
                               const char* what, const FoldOptions& options);

// The values of a tensor of one row.
std::vector<float> vector_of(const io::Checkpoint& model, std::string_view name);

}  // namespace miao::compress
