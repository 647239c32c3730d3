// Fuzzes the CTranslate2 parser: any bytes end in an Error or in views that lie within them and fit their shapes.
#include <cstdint>
#include <cstdlib>

#include "io/files/format.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const miao::io::Bytes bytes{reinterpret_cast<const std::byte*>(data), size};
  const auto file = miao::io::parse_ct2(bytes, "model.bin");
  if (!file.ok()) return 0;
  for (const miao::TensorView& t : file->tensors) {
    const auto begin = static_cast<uint64_t>(t.data - bytes.data());
    if (begin > size || t.bytes > size - begin) std::abort();
    if (t.bytes != static_cast<uint64_t>(t.elements() * miao::format(t.dtype).bytes)) std::abort();
  }
  return 0;
}
