// GgufWriter: a GGUF file of version 3, its tensors streamed as TensorFile says.
//
//   MIAO_TRY(GgufWriter out, GgufWriter::create(path, std::move(metadata), tensors));
//   for each tensor, in order: MIAO_CHECK_OK(out.write(name, piece)); ...
//   MIAO_CHECK_OK(out.finish());                       // the checksums are in their place
//   ... Checkpoint::open(out.readable()) ...           // a whole model already; what was reserved holds placeholders
//   MIAO_CHECK_OK(out.patch("miao.canary.logits", digest));
//   MIAO_CHECK_OK(out.commit());
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "io/gguf_metadata.h"
#include "io/tensor_file.h"

namespace miao::io {

// What miao writes into files of its own; docs/formats/gguf.md says what they hold.
inline constexpr std::string_view kChecksumsKey = "miao.sha256.tensors";
inline constexpr std::string_view kCanaryKeys = "miao.canary.";  // the beginning of their names

// The beginning of a file of these keys: of one without tensors, the whole file.
std::string gguf_header(const GgufMetadata& metadata, uint64_t tensors = 0);

class GgufWriter {
 public:
  // Adds the checksums of the tensors to the metadata, in place of any that are there. Errors: what the format cannot
  // hold (a name of more than 63 bytes, two of one name, a type without a number, an alignment that is none), and those
  // of AtomicFile. `cancel`: once true, write() ends with Error cancelled.
  static Result<GgufWriter> create(const std::filesystem::path& path, GgufMetadata metadata,
                                   std::vector<TensorInfo> tensors, const std::atomic<bool>* cancel = nullptr);

  Result<void> write(std::string_view tensor, std::span<const std::byte> piece) { return file_.write(tensor, piece); }
  // When all tensors are whole.
  Result<void> finish();
  std::filesystem::path readable() const { return file_.readable(); }
  // Another value of the same type and size in the place of one of the metadata.
  Result<void> patch(std::string_view key, const GgufValue& value);
  // Flushes and renames; all that was reserved has been patched.
  Result<void> commit();

 private:
  struct Place {
    std::string key;
    GgufType type;
    uint64_t offset, bytes;  // of the value
    bool open;               // reserved, and not patched yet
  };
  GgufWriter(TensorFile file, std::vector<Place> places) : file_(std::move(file)), places_(std::move(places)) {}

  TensorFile file_;
  std::vector<Place> places_;
};

}  // namespace miao::io
