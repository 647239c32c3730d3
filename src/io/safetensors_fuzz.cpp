// Fuzzes the safetensors parser: any bytes end in an Error or in views that lie within them;
// and as the beginning of a longer file, in more bytes than there are or fewer than that file has.
#include <cstdint>
#include <cstdlib>

#include "io/files/format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const miao::io::Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
  const uint64_t longer = 2 * uint64_t{size} + 1000;
  if (const auto need = miao::io::header_bytes(bytes, longer, "fuzz.safetensors"); need.ok() && *need > longer)
    std::abort();
  const auto file = miao::io::parse_safetensors(bytes, "fuzz.safetensors");
  if (!file.ok()) return 0;
  for (const miao::TensorView& t : file->tensors) {
    const auto begin = static_cast<uint64_t>(t.data - bytes.data());
    if (begin > size || t.bytes > size - begin) std::abort();
  }
  return 0;
}
