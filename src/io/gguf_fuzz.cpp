// Fuzzes the GGUF parser: any bytes end in an Error or in views that lie within them.
#include <cstdint>
#include <cstdlib>

#include "io/files/format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const miao::io::Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
  const auto file = miao::io::parse_gguf(bytes, "fuzz.gguf");
  if (!file.ok()) return 0;
  for (const miao::TensorView& t : file->tensors) {
    const auto begin = static_cast<uint64_t>(t.data - bytes.data());
    if (begin > size || t.bytes > size - begin) std::abort();
  }
  return 0;
}
