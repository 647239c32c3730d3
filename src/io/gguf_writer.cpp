// The header of a GGUF file; src/io/files/gguf.cpp draws its layout. A value that changes later keeps its size, so that
// nothing behind it moves.
#include "io/gguf_writer.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "base/check.h"
#include "base/checked.h"
#include "io/files/format.h"
#include "io/files/gguf_limits.h"

namespace miao::io {

namespace {

constexpr uint64_t kBeforeKeys = 24;

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}
void put_text(std::string& out, std::string_view text) {
  put<uint64_t>(out, text.size());
  out += text;
}

Result<uint64_t> alignment_of(const GgufMetadata& metadata) {
  const GgufValue* value = metadata.find("general.alignment");
  if (!value) return uint64_t{kDefaultAlignment};
  uint32_t alignment = 0;
  if (value->type() == GgufType::u32) std::memcpy(&alignment, value->bytes().data(), sizeof alignment);
  if (alignment < kMinAlignment || alignment > kMaxAlignment || !std::has_single_bit(alignment)) {
    return Error{Code::invalid, "'general.alignment' is not an unsigned 32-bit power of two from 8 to 65536", {}};
  }
  return uint64_t{alignment};
}

Result<void> check(const TensorInfo& tensor) {
  const auto invalid = [&](std::string what) {
    return Error{Code::invalid, "GGUF files cannot hold it: " + std::move(what), "tensor " + in_quotes(tensor.name)};
  };
  MIAO_CHECK_OK(checked_bytes(tensor));
  if (tensor.name.size() > kMaxTensorNameBytes) return invalid("its name has more than 63 bytes");
  if (tensor.shape.size() > kMaxDims) return invalid("it has more than 4 dimensions");
  if (std::count(tensor.shape.begin(), tensor.shape.end(), 0) > 0) return invalid("it has a dimension of 0");
  if (format(tensor.dtype).gguf < 0) return invalid(std::string("the format has no type ") + format(tensor.dtype).name);
  return {};
}

// The descriptions of tensors, which say where the data of each begins.
Result<void> put_infos(std::string& out, const std::vector<TensorInfo>& tensors, uint64_t alignment) {
  std::unordered_set<std::string_view> names;
  uint64_t offset = 0;
  for (const TensorInfo& tensor : tensors) {
    MIAO_CHECK_OK(check(tensor));
    if (!names.insert(tensor.name).second) {
      return Error{Code::invalid, "two tensors have this name", "tensor " + in_quotes(tensor.name)};
    }
    put_text(out, tensor.name);
    put(out, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;) put(out, static_cast<uint64_t>(tensor.shape[i]));
    put(out, static_cast<uint32_t>(format(tensor.dtype).gguf));
    put(out, offset);
    MIAO_TRY(const uint64_t bytes, checked_bytes(tensor));
    const auto end = checked_add(offset, bytes);
    const auto padded = end ? checked_align(*end, alignment) : std::nullopt;
    if (!padded) return Error{Code::invalid, "the tensors are larger than a file can be", {}};
    offset = *padded;
  }
  return {};
}

}  // namespace

std::string gguf_header(const GgufMetadata& metadata, uint64_t tensors) {
  std::string out = "GGUF";
  put(out, uint32_t{3});
  put(out, tensors);
  put<uint64_t>(out, metadata.entries().size());
  MIAO_CHECK(out.size() == kBeforeKeys);
  for (const GgufMetadata::Entry& e : metadata.entries()) {
    MIAO_CHECK(plain_name(e.key) && e.key.size() <= kMaxKeyNameBytes);
    put_text(out, e.key);
    put(out, static_cast<uint32_t>(e.value.type()));
    out += e.value.bytes();
  }
  return out;
}

Result<GgufWriter> GgufWriter::create(const std::filesystem::path& path, GgufMetadata metadata,
                                      std::vector<TensorInfo> tensors, const std::atomic<bool>* cancel) {
  const auto at_path = [&](Error error) { return std::move(error).at(path.string()); };
  constexpr size_t kDigits = 64;
  metadata.reserve(kChecksumsKey, std::vector<std::string>(tensors.size(), std::string(kDigits, '0')));
  const std::vector<GgufMetadata::Entry>& entries = metadata.entries();
  if (tensors.size() > kMaxTensors || entries.size() > kMaxKeys) {
    return Error{Code::invalid, "would have more tensors or keys than GGUF files are read with", path.string()};
  }
  auto alignment = alignment_of(metadata);
  if (!alignment) return at_path(std::move(alignment.error()));

  std::string header = gguf_header(metadata, tensors.size());
  std::vector<Place> places;
  uint64_t offset = kBeforeKeys;
  for (const GgufMetadata::Entry& e : entries) {
    offset += sizeof(uint64_t) + e.key.size() + sizeof(uint32_t);
    places.push_back({e.key, e.value.type(), offset, e.value.bytes().size(), e.reserved});
    offset += e.value.bytes().size();
  }
  if (auto r = put_infos(header, tensors, *alignment); !r.ok()) return at_path(std::move(r.error()));
  header.resize(*checked_align(header.size(), *alignment), '\0');
  MIAO_TRY(TensorFile file, TensorFile::create(path, header, std::move(tensors), *alignment, cancel));
  return GgufWriter(std::move(file), std::move(places));
}

Result<void> GgufWriter::finish() {
  MIAO_CHECK_OK(file_.finish());
  return patch(kChecksumsKey, file_.sha256());
}

Result<void> GgufWriter::patch(std::string_view key, const GgufValue& value) {
  const auto at = std::find_if(places_.begin(), places_.end(), [&](const Place& p) { return p.key == key; });
  MIAO_CHECK(at != places_.end() && at->type == value.type() && at->bytes == value.bytes().size());
  at->open = false;
  return file_.patch(at->offset, value.bytes());
}

Result<void> GgufWriter::commit() {
  MIAO_CHECK(std::none_of(places_.begin(), places_.end(), [](const Place& p) { return p.open; }));
  return file_.commit();
}

}  // namespace miao::io
