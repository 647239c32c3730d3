// A Hugging Face model as a GGUF file: its keys, its tokenizer and its tensors under the names, in the order of rows
// and with the values that GGUF files of the architecture have.
//
//   keys      from the ModelSpec that the family read, whatever file it came from (convert/keys.cpp)
//   tensors   those that loading the model reads, by their canonical names, which are GGUF's (convert/tensors.cpp)
//   check     the keys are read back as a GGUF file's would be; what then computes otherwise is an Error or a note
//
// The families say in their rows (GgufForm, family.h) what they are called there and what else differs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "graph/linear.h"
#include "io/checkpoint.h"
#include "io/gguf_metadata.h"
#include "tensor/tensor.h"

namespace miao::models {

// Whether a tensor of a GGUF file is floating whatever the others become, as llama.cpp's programs keep it too.
bool stays_float(std::string_view name, size_t dimensions);

// One tensor of the file: rows of tensors of the source, mapped and not copied. Safe to read from many threads.
class ConvertedTensor {
 public:
  // `rows` of the tensor's, which `map` finds; 0 = all.
  struct Part {
    TensorView view;
    graph::RowMap map;
    int64_t rows = 0;
  };
  ConvertedTensor(std::string name, std::vector<int64_t> shape, std::vector<Part> parts);
  ConvertedTensor(std::string name, std::vector<int64_t> shape, DType dtype, std::vector<float> values);
  // Rows i and i + head_dim / 2 of each head become neighbours.
  void pair(int64_t head_dim) { pair_ = head_dim; }
  ConvertedTensor renamed(std::string name) const {
    ConvertedTensor out = *this;
    out.name_ = std::move(name);
    return out;
  }

  const std::string& name() const { return name_; }
  const std::vector<int64_t>& shape() const { return shape_; }  // outermost first
  DType dtype() const { return dtype_; }                        // of the source
  // Such tensors are floating whatever the others become: vectors, norms, routers, tables of positions, segments and
  // distances, factors of the rotation, convolutions.
  bool stays_float() const { return models::stays_float(name_, shape_.size()); }
  // The type that a file of full precision has it in: of those that stay floating F32, for llama.cpp's programs, but
  // for the convolutions and the positions of encoder-decoders, which are large and no business of theirs.
  DType gguf_type() const;
  int64_t cols() const { return shape_.empty() ? 1 : shape_.back(); }
  int64_t rows() const;

  // Rows [begin, end) in FP32: (end - begin) * cols() values.
  void decode(int64_t begin, int64_t end, float* out) const;
  // Where the values are those of the source: the bytes of the rows as they are there, in dtype().
  bool moved_only() const;
  void copy(int64_t begin, int64_t end, std::byte* out) const;

 private:
  // The part that holds a row, and the number of that row in it.
  std::pair<const Part*, int64_t> find(int64_t row) const;

  std::string name_;
  std::vector<int64_t> shape_;
  DType dtype_;
  std::vector<Part> parts_;
  int64_t pair_ = 0;           // rows of a head whose halves alternate
  std::vector<float> values_;  // in place of parts
};

struct Converted {
  io::GgufMetadata metadata;  // without general.file_type and general.quantization_version, which the writer knows
  std::vector<ConvertedTensor> tensors;
  std::vector<std::string> notes;  // what the file cannot say, a line each
};

// A GGUF checkpoint passes unchanged. `checkpoint` outlives the tensors. Errors: unsupported where the architecture has
// no GGUF form, or one that cannot say what this model is; else those of loading the model.
Result<Converted> to_gguf(const io::Checkpoint& checkpoint);

}  // namespace miao::models
