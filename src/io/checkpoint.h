// Checkpoint: a model on disk as named tensors plus key/values. It maps files and checks them; it knows no model.
//
//   open(path)  path = a .gguf file | any part of a split GGUF set | a .safetensors file | a Hugging Face directory |
//                      a CTranslate2 directory or its model.bin
//   meta()      GGUF key/values as they are, or config.json flattened to dotted keys; of CTranslate2 also "ct2.spec"
//   and
//               "ct2.revision"
//   tensors()   views into the mapping, shapes outermost first: GGUF's ne = [in, out] is (out, in), as in safetensors
//
// Files come from anywhere: every count, length, offset and name is checked before it is used, and what is wrong comes
// back as an Error naming the file, the place and the mend. docs/formats/ lists the rules.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/file.h"
#include "base/key_values.h"
#include "base/memory.h"
#include "base/result.h"
#include "io/gguf_metadata.h"
#include "tensor/tensor.h"

namespace miao::io {

class Checkpoint {
 public:
  enum class Kind { gguf, safetensors, ct2 };

  // A directory is a Hugging Face one (config.json and model.safetensors or model.safetensors.index.json), or holds
  // exactly one GGUF model and no safetensors, or is one of CTranslate2 (config.json and model.bin). A part of a split
  // set opens the whole set.
  static Result<Checkpoint> open(const std::filesystem::path& path);

  // A GGUF file that is not written yet, as its keys and its tensors, whose data need not be there (it is null then):
  // for those who want to know what will be read of it. `path` names it in messages.
  static Result<Checkpoint> planned(const std::filesystem::path& path, const GgufMetadata& metadata,
                                    std::vector<TensorView> tensors);

  // Files that are elsewhere (io::open_headers): of those with tensors the first bytes, of text files all. `folder`
  // names their place in messages; `entry` is the one to open, empty = the folder as a directory. It is hollow().
  struct Head {
    std::string name;
    std::string bytes;
    uint64_t size = 0;  // of the whole file
  };
  static Result<Checkpoint> of_heads(const std::filesystem::path& folder, std::string_view entry,
                                     std::vector<Head> heads);

  // The same keys, side files and tensors, whose data reads as zeros and takes no memory: for those who plan or measure
  // what does not depend on weights. Factors of rotations (rope_...) keep their data, or read as ones; single numbers,
  // which CTranslate2 models have for hyper-parameters, keep theirs.
  Result<Checkpoint> hollow() const;

  Checkpoint(Checkpoint&&) noexcept = default;
  Checkpoint& operator=(Checkpoint&&) noexcept = default;

  Kind kind() const { return kind_; }
  const std::filesystem::path& path() const { return path_; }  // as given to open()
  // Strings point into memory that the KeyValues (and its copies) keep alive.
  const KeyValues& meta() const { return meta_; }
  // Of GGUF files: the same in file order and in the exact types, as bytes in the mapping. Of others: none.
  std::span<const GgufKey> gguf_keys() const { return gguf_keys_; }

  // Views live as long as the Checkpoint. A vocabulary-only GGUF has none. Null when there is no tensor of that name.
  std::span<const TensorView> tensors() const { return tensors_; }
  const TensorView* find(std::string_view name) const;
  uint64_t bytes() const;  // of all tensors' data; what two names share counts once

  // Which files these are and where their tensors stand, as text: what is read from another checkpoint, or from this
  // one after a file has been written to, says something else.
  std::string identity() const;
  // The path of the first file, absolute and without links.
  std::filesystem::path first_file() const;

  // Gives the pages of a part of a mapped file back to the page cache; reading it again faults them in. What lies
  // behind the file that `range` begins in stays as it is.
  void release(std::span<const std::byte> range) const;

  // A side file of the model's directory ("tokenizer.json", "1_Pooling/config.json"), at most 128 MiB; no value when
  // the directory has none. A GGUF file has no side files.
  Result<std::optional<std::string>> text_file(std::string_view name) const;

 private:
  explicit Checkpoint(std::filesystem::path path) : path_(std::move(path)) {}

  Result<void> index_tensors();
  Result<void> open_directory();
  Result<void> open_file(const std::filesystem::path& path);
  Result<void> open_gguf(const std::filesystem::path& path);
  Result<void> open_safetensors(const std::filesystem::path& path);
  Result<void> open_ct2(const std::filesystem::path& path);
  Result<void> open_index(const std::filesystem::path& index);
  Result<void> read_config();
  struct FileBytes {
    std::shared_ptr<const MappedFile> file;  // null = a Head
    std::span<const std::byte> bytes;
    uint64_t size = 0;
  };
  Result<FileBytes> open_bytes(const std::filesystem::path& path) const;
  Result<KeyValues> add_file(const std::filesystem::path& path);
  bool has_file(const std::filesystem::path& path) const;
  Result<std::string> read_text(const std::filesystem::path& path, size_t max_bytes) const;
  Result<std::filesystem::path> shard_path(const std::filesystem::path& index, std::string_view name) const;
  const Head* head(const std::filesystem::path& path) const;

  Kind kind_ = Kind::gguf;
  std::filesystem::path path_;
  std::filesystem::path directory_;  // of side files; empty for GGUF
  KeyValues meta_;
  std::vector<GgufKey> gguf_keys_;
  std::vector<std::shared_ptr<const MappedFile>> files_;
  std::filesystem::path heads_folder_;
  std::shared_ptr<const std::vector<Head>> heads_;      // null = files are read from the disk
  std::vector<std::shared_ptr<const Memory>> filling_;  // what the data of a hollow checkpoint reads as
  bool hollow_ = false;
  std::vector<TensorView> tensors_;
  std::vector<size_t> tensor_ends_;                       // of each file's tensors in tensors_
  std::unordered_map<std::string_view, size_t> by_name_;  // keys point into tensors_
};

}  // namespace miao::io
