// The header of a safetensors file; src/io/files/safetensors.cpp draws its layout.
#include "io/safetensors_writer.h"

#include <algorithm>
#include <cstring>
#include <unordered_set>

#include "base/check.h"
#include "base/checked.h"
#include "base/json.h"
#include "io/files/format.h"
#include "io/files/safetensors_limits.h"
#include "io/gguf_writer.h"

namespace miao::io {

namespace {

constexpr size_t kDigits = 64;
constexpr size_t kHeaderAlignment = 8;

std::string joined(const std::vector<std::string>& texts) {
  std::string out;
  for (const std::string& text : texts) out += (out.empty() ? "" : " ") + text;
  return out;
}

// A text that stands in JSON as it is.
bool plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

Result<void> put_tensors(std::string& out, const std::vector<TensorInfo>& tensors) {
  std::unordered_set<std::string_view> names;
  uint64_t offset = 0;
  for (const TensorInfo& t : tensors) {
    const std::string where = "tensor " + in_quotes(t.name);
    const auto invalid = [&](std::string what) {
      return Error{Code::invalid, "safetensors files cannot hold it: " + std::move(what), where};
    };
    MIAO_TRY(const uint64_t bytes, checked_bytes(t));
    if (t.name.size() > kMaxNameBytes) return invalid("its name has more than 4096 bytes");
    if (t.shape.size() > kMaxRank) return invalid("it has more than 8 dimensions");
    if (format(t.dtype).block != 1) return invalid(std::string("the format has no type ") + format(t.dtype).name);
    if (t.name == "__metadata__") return invalid("that is the name of the metadata");
    if (!names.insert(t.name).second) return Error{Code::invalid, "two tensors have this name", where};
    const auto end = checked_add(offset, bytes);
    if (!end) return Error{Code::invalid, "the tensors are larger than a file can be", {}};
    const Json entry{{"dtype", format(t.dtype).name}, {"shape", t.shape}, {"data_offsets", {offset, *end}}};
    out += ',' + dump_json(t.name) + ':' + dump_json(entry);
    offset = *end;
  }
  return {};
}

}  // namespace

Result<SafetensorsWriter> SafetensorsWriter::create(const std::filesystem::path& path, std::vector<TextEntry> metadata,
                                                    std::vector<TensorInfo> tensors, const std::atomic<bool>* cancel) {
  const std::vector<std::string> sums(tensors.size(), std::string(kDigits, '0'));
  std::erase_if(metadata, [](const TextEntry& e) { return e.key == "format" || e.key == kChecksumsKey; });
  metadata.insert(metadata.begin(), {"format", "pt"});
  metadata.push_back({std::string(kChecksumsKey), joined(sums), true});

  std::string header(sizeof(uint64_t), '\0');
  std::vector<Place> places;
  for (const TextEntry& e : metadata) {
    MIAO_CHECK(!e.reserved || plain(e.text));
    header += (places.empty() ? "{\"__metadata__\":{" : ",") + dump_json(e.key) + ':';
    places.push_back({e.key, header.size() + 1, e.text.size(), e.reserved});
    header += dump_json(e.text);
  }
  header += '}';
  if (auto r = put_tensors(header, tensors); !r.ok()) return std::move(r.error()).at(path.string());
  header += '}';
  header.resize(*checked_align(header.size(), kHeaderAlignment), ' ');
  const uint64_t size = header.size() - sizeof(uint64_t);
  if (size > kMaxHeaderBytes || tensors.size() > kMaxTensors || metadata.size() > kMaxMetadata) {
    return Error{Code::invalid, "would have more tensors or metadata than safetensors files can", path.string()};
  }
  std::memcpy(header.data(), &size, sizeof size);
  MIAO_TRY(TensorFile file, TensorFile::create(path, header, std::move(tensors), 1, cancel));
  return SafetensorsWriter(std::move(file), std::move(places));
}

Result<void> SafetensorsWriter::finish() {
  MIAO_CHECK_OK(file_.finish());
  return patch(kChecksumsKey, joined(file_.sha256()));
}

Result<void> SafetensorsWriter::patch(std::string_view key, std::string_view text) {
  const auto at = std::find_if(places_.begin(), places_.end(), [&](const Place& p) { return p.key == key; });
  MIAO_CHECK(at != places_.end() && at->bytes == text.size() && plain(text));
  at->open = false;
  return file_.patch(at->offset, text);
}

Result<void> SafetensorsWriter::commit() {
  MIAO_CHECK(std::none_of(places_.begin(), places_.end(), [](const Place& p) { return p.open; }));
  return file_.commit();
}

}  // namespace miao::io
