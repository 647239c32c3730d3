// See pack_cache.h. The packed bytes stand first in the file, so that 2 MiB of them are one huge page of the page
// cache.
#include "models/pack_cache.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

#include "base/check.h"
#include "base/checksum.h"
#include "base/cpu.h"
#include "base/log.h"

namespace miao::models {

namespace fs = std::filesystem;

namespace {

using Bytes = std::span<const std::byte>;

constexpr char kMagic[8] = {'m', 'i', 'a', 'o', 'p', 'a', 'c', 'k'};
constexpr uint32_t kVersion = 1;
constexpr const char* kExtension = ".miaopack";
constexpr uint64_t kRegion = uint64_t{2} << 20;  // bytes under one checksum, written at once: one huge page

// The end of the file. What comes before: bytes | a checksum for each region | source.
struct Trailer {
  char magic[8];
  uint32_t version, source_bytes;
  uint64_t bytes;
  char key[32];
  uint64_t checksum;  // of all behind `bytes` and before this
};
static_assert(sizeof(Trailer) == 64);

uint64_t regions(uint64_t bytes) { return bytes / kRegion + (bytes % kRegion != 0); }
Bytes region(Bytes bytes, uint64_t i) {
  return bytes.subspan(i * kRegion).first(std::min(kRegion, bytes.size() - i * kRegion));
}

struct Parsed {
  Trailer trailer;
  Bytes bytes, sums;
  std::string source;
};

// No value for a file that is damaged, or a disk that does not give it.
std::optional<Parsed> parse(const MappedFile& mapped) {
  const Bytes file = mapped.bytes();
  Parsed out;
  if (file.size() < sizeof(Trailer) || !mapped.readable(file.last(sizeof(Trailer)))) return std::nullopt;
  Trailer& t = out.trailer;
  std::memcpy(&t, file.data() + file.size() - sizeof t, sizeof t);
  if (std::memcmp(t.magic, kMagic, sizeof kMagic) != 0 || t.version != kVersion || t.bytes > file.size()) {
    return std::nullopt;
  }
  const uint64_t sums = 8 * regions(t.bytes);
  if (file.size() != t.bytes + sums + t.source_bytes + sizeof t) return std::nullopt;
  const Bytes tail = file.subspan(t.bytes);
  if (!mapped.readable(tail)) return std::nullopt;
  if (checksum(tail.first(tail.size() - sizeof t.checksum)) != t.checksum) return std::nullopt;
  out.bytes = file.first(t.bytes);
  out.sums = tail.first(sums);
  out.source.assign(reinterpret_cast<const char*>(tail.data()) + sums, t.source_bytes);
  return out;
}

bool verify(const MappedFile& mapped, const Parsed& pack, ThreadPool& pool) {
  std::atomic<int64_t> next{0};
  std::atomic<bool> good{true};
  const auto count = static_cast<int64_t>(regions(pack.bytes.size()));
  pool.run([&](Worker& worker) {
    for (int64_t i; good && (i = worker.next(next)) < count;) {
      uint64_t want;
      std::memcpy(&want, pack.sums.data() + 8 * i, sizeof want);
      const Bytes bytes = region(pack.bytes, static_cast<uint64_t>(i));
      if (!mapped.readable(bytes) || checksum(bytes) != want) good = false;
    }
  });
  return good;
}

int64_t page_faults() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

Result<Memory> copy_of(const MappedFile& file, Bytes bytes, ThreadPool& pool) {
  MIAO_TRY(Memory out, Memory::allocate(bytes.size()));
  std::atomic<int64_t> next{0};
  const auto count = static_cast<int64_t>(regions(bytes.size()));
  pool.run([&](Worker& worker) {
    for (int64_t i; (i = worker.next(next)) < count;) {
      const Bytes from = region(bytes, static_cast<uint64_t>(i));
      std::memcpy(out.data() + (from.data() - bytes.data()), from.data(), from.size());
      file.release(from);
    }
  });
  return out;
}

fs::path pack_path(const fs::path& folder, const PackKey& key) { return folder / (key.name + kExtension); }

// Deletes packs until `more` bytes can be added.
Result<void> make_room(const fs::path& folder, uint64_t more, uint64_t most) {
  std::error_code error;
  fs::space_info disk = fs::space(folder, error);
  if (error) return Error{Code::io, "cannot be measured: " + error.message(), folder.string()};
  const uint64_t limit = std::min<uint64_t>(most, disk.capacity / 10);
  disk.available += delete_orphans(folder);
  const std::vector<PackFile> packs = list_packs(folder);
  uint64_t held = 0;
  for (const PackFile& p : packs) held += p.bytes;
  const auto fits = [&] { return held + more <= limit && more <= disk.available / 2; };
  for (auto p = packs.begin(); more <= limit && !fits() && p != packs.end(); ++p) {
    if (!fs::remove(p->path, error)) continue;
    held -= p->bytes;
    disk.available += p->bytes;
  }
  if (fits()) return {};
  return Error{Code::io, "has no room for " + std::to_string(more >> 20) + " MiB", folder.string()};
}

}  // namespace

Result<Pack> open_pack(const fs::path& folder, const PackKey& key, uint64_t bytes, ThreadPool& pool) {
  const fs::path path = pack_path(folder, key);
  Pack out;
  MIAO_TRY(out.file, MappedFile::open(path));
  out.file.want_huge_pages();
  const int64_t before = page_faults();
  const std::optional<Parsed> pack = parse(out.file);
  if (!pack || std::string_view(pack->trailer.key, sizeof pack->trailer.key) != key.name ||
      pack->trailer.bytes != bytes || !verify(out.file, *pack, pool)) {
    std::error_code ignored;
    fs::remove(path, ignored);
    return Error{Code::corrupt, "is damaged or cannot be read; deleted", path.string()};
  }
  ::utimensat(AT_FDCWD, path.c_str(), nullptr, 0);  // used now; a folder that cannot be written stays as it is
  // verify() was the first to touch the bytes: one fault for each huge page, or one for 64 KiB of small pages.
  constexpr int64_t kTail = 128;  // faults of what does not fill a huge page, and of anything else in the process
  if (page_faults() - before > static_cast<int64_t>(2 * regions(bytes)) + kTail) {
    log_info(path.string() + ": is in small pages; copied");
    MIAO_TRY(out.copy, copy_of(out.file, pack->bytes, pool));
  }
  return out;
}

Result<void> save_pack(const fs::path& folder, const PackKey& key, Bytes bytes, const std::atomic<bool>* cancel,
                       uint64_t most) {
  if (bytes.size() > std::min(kMaxPackBytes, memory_limits().free / 4)) {
    return Error{Code::out_of_memory, std::to_string(bytes.size() >> 20) + " MiB are too many to keep packed", {}};
  }
  std::error_code error;
  fs::create_directories(folder, error);
  MIAO_CHECK_OK(make_room(folder, bytes.size(), most));
  MIAO_TRY(NamelessFile file, NamelessFile::create(folder));
  std::string tail;
  for (uint64_t i = 0; i < regions(bytes.size()); ++i) {
    if (cancel && *cancel) return Error{Code::cancelled, "interrupted", {}};
    const uint64_t sum = checksum(region(bytes, i));
    tail.append(reinterpret_cast<const char*>(&sum), sizeof sum);
    MIAO_CHECK_OK(file.append(region(bytes, i)));
  }
  tail += key.source;
  Trailer t{.version = kVersion, .source_bytes = static_cast<uint32_t>(key.source.size()), .bytes = bytes.size()};
  std::memcpy(t.magic, kMagic, sizeof kMagic);
  MIAO_CHECK(key.name.size() == sizeof t.key);
  std::memcpy(t.key, key.name.data(), sizeof t.key);
  tail.append(reinterpret_cast<const char*>(&t), offsetof(Trailer, checksum));
  t.checksum = checksum(std::as_bytes(std::span(tail)));
  tail.append(reinterpret_cast<const char*>(&t.checksum), sizeof t.checksum);
  MIAO_CHECK_OK(file.append(std::as_bytes(std::span(tail))));
  return file.name(key.name + kExtension);
}

bool PackFile::orphan() const {
  std::error_code ignored;
  return source.empty() || !fs::exists(source, ignored);
}

std::vector<PackFile> list_packs(const fs::path& folder) {
  std::vector<PackFile> out;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    struct stat info {};
    if (it->path().extension() != kExtension || ::stat(it->path().c_str(), &info) != 0) continue;
    PackFile pack{.path = it->path(), .bytes = static_cast<uint64_t>(info.st_size)};
    pack.used = info.st_mtim.tv_sec * int64_t{1'000'000'000} + info.st_mtim.tv_nsec;
    if (const auto file = MappedFile::open(pack.path); file.ok()) {
      if (const auto parsed = parse(*file)) pack.source = parsed->source;
    }
    out.push_back(std::move(pack));
  }
  std::sort(out.begin(), out.end(), [](const PackFile& a, const PackFile& b) { return a.used < b.used; });
  return out;
}

uint64_t delete_orphans(const fs::path& folder) {
  uint64_t bytes = 0;
  std::error_code ignored;
  for (const PackFile& pack : list_packs(folder)) {
    if (pack.orphan() && fs::remove(pack.path, ignored)) bytes += pack.bytes;
  }
  return bytes;
}

}  // namespace miao::models
