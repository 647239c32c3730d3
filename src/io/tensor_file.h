// TensorFile: what the writers of model files share. Behind a header that the format makes, the data of tensors goes to
// an AtomicFile piece by piece, in the order in which they were declared: no more than a piece is ever in memory.
//
//   write("a", ...) write("a", ...) write("b", ...) ... finish()   every tensor exactly as long as its shape says
//   readable()   the whole file, which the caller may open and run
//   patch()      what the header could not know before
//   commit()     now it has its name
//
// Whoever ends before commit(), by an Error, by `cancel` or by the object's end, leaves nothing behind.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "base/sha256.h"
#include "tensor/dtype.h"

namespace miao::io {

struct TensorInfo {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;  // outermost first, as in TensorView
};

// Bytes of a tensor's data. Errors: names that are empty or hold control characters, dimensions below 0, rows that are
// not whole blocks, sizes beyond 2^63.
Result<uint64_t> checked_bytes(const TensorInfo& tensor);

class TensorFile {
 public:
  // `tensors` have passed checked_bytes(). Each begins at a multiple of `alignment` behind the header, which is one
  // itself. `cancel`: once true, write() ends with Error cancelled.
  static Result<TensorFile> create(const std::filesystem::path& path, std::string_view header,
                                   std::vector<TensorInfo> tensors, uint64_t alignment,
                                   const std::atomic<bool>* cancel);

  // The next bytes of a tensor, which is the one after that which is complete.
  Result<void> write(std::string_view tensor, std::span<const std::byte> piece);
  Result<void> finish();
  // After finish(): SHA-256 of each tensor's bytes, in hexadecimal digits, in their order.
  const std::vector<std::string>& sha256() const { return sha256_; }
  std::filesystem::path readable() const { return file_.readable(); }
  Result<void> patch(uint64_t offset, std::string_view bytes);
  Result<void> commit();

 private:
  TensorFile(AtomicFile file, std::vector<TensorInfo> tensors, uint64_t alignment, const std::atomic<bool>* cancel);
  Result<void> close_complete();

  AtomicFile file_;
  std::vector<TensorInfo> tensors_;
  uint64_t alignment_;
  const std::atomic<bool>* cancel_;
  std::vector<std::string> sha256_;  // of the tensors that are complete
  uint64_t left_ = 0;                // bytes of the one at hand
  Hasher hasher_;
  bool finished_ = false;
};

}  // namespace miao::io
