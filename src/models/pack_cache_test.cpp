// Packs by themselves: bytes in, the same bytes out, or an Error and no file.
#include "models/pack_cache.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>
#include <thread>

#include "base/checksum.h"
#include "io/testing.h"

namespace miao::models {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kRegion = uint64_t{2} << 20;
constexpr size_t kTrailer = 64;

class PackCache : public testing::Test {
 protected:
  PackCache() {
    std::ofstream(dir_ / "model.gguf") << "a model";
    fs::create_directory(folder_);
  }

  PackKey key(std::string_view what = "one") const { return {fingerprint(what), (dir_ / "model.gguf").string()}; }
  fs::path file(const PackKey& k) const { return folder_ / (k.name + ".miaopack"); }
  Result<void> save(std::string_view bytes, const PackKey& k, uint64_t most = kMaxPackFolderBytes) const {
    return save_pack(folder_, k, std::as_bytes(std::span(bytes)), nullptr, most);
  }
  Result<Pack> open(const PackKey& k, uint64_t bytes) const { return open_pack(folder_, k, bytes, *pool_); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  static std::string noise(size_t n) {
    std::mt19937_64 random(n);
    std::string out(n, '\0');
    for (size_t i = 0; i + 8 <= n; i += 8) {
      const uint64_t word = random();
      std::memcpy(out.data() + i, &word, 8);
    }
    return out;
  }

  io::TempDir dir_;
  fs::path folder_ = dir_ / "packed";
  std::unique_ptr<ThreadPool> pool_ = *ThreadPool::create(2);
};

TEST_F(PackCache, GivesBackWhatItWasGiven) {
  for (const size_t n : {size_t{64}, size_t{kRegion}, size_t{kRegion + 64}, size_t{5 * kRegion - 64}}) {
    const std::string bytes = noise(n);
    const PackKey k = key(std::to_string(n));
    const auto none = open(k, n);
    ASSERT_FALSE(none.ok());
    EXPECT_EQ(none.error().code, Code::not_found);
    ASSERT_TRUE(save(bytes, k).ok());
    const auto pack = open(k, n);
    ASSERT_TRUE(pack.ok()) << pack.error().str();
    EXPECT_EQ(std::memcmp(pack->data(), bytes.data(), n), 0) << n;
  }
}

// Each part of the file in turn: a damaged one is refused and deleted, and can then be written again.
TEST_F(PackCache, RefusesAndDeletesWhatIsDamaged) {
  const std::string bytes = noise(kRegion + 640);
  ASSERT_TRUE(save(bytes, key()).ok());
  const std::string sound = *read_file(file(key()));
  const size_t end = sound.size(), trailer = end - kTrailer;
  const auto flipped = [&](size_t at) {
    std::string out = sound;
    out[at] ^= 1;
    return out;
  };
  // With a right checksum, so that the number itself is what is looked at.
  const auto resealed = [&](size_t at, char value) {
    std::string out = sound;
    out[at] = value;
    const uint64_t sum = checksum(std::as_bytes(std::span(out)).subspan(bytes.size(), end - 8 - bytes.size()));
    std::memcpy(out.data() + end - 8, &sum, 8);
    return out;
  };
  const std::vector<std::pair<const char*, std::string>> damages = {
      {"first byte", flipped(0)},
      {"last byte of the first region", flipped(kRegion - 1)},
      {"last byte", flipped(bytes.size() - 1)},
      {"a checksum", flipped(bytes.size() + 3)},
      {"the source", flipped(bytes.size() + 17)},
      {"magic", flipped(trailer)},
      {"version", flipped(trailer + 8)},
      {"another version", resealed(trailer + 8, 2)},
      {"length of the source", flipped(trailer + 12)},
      {"bytes", flipped(trailer + 16)},
      {"high byte of bytes", flipped(trailer + 23)},
      {"key", flipped(trailer + 24)},
      {"another key", resealed(trailer + 24, '!')},
      {"checksum", flipped(end - 1)},
      {"nothing", ""},
      {"half a trailer", sound.substr(0, kTrailer / 2)},
      {"a trailer alone", sound.substr(trailer)},
      {"cut", sound.substr(0, end - 1)},
      {"cut in half", sound.substr(0, end / 2)},
      {"a byte more", sound + "x"},
      {"zeros, as after a loss of power", std::string(end, '\0')},
  };
  for (const auto& [what, content] : damages) {
    ASSERT_TRUE(write_file_atomic(file(key()), content).ok());
    const auto pack = open(key(), bytes.size());
    ASSERT_FALSE(pack.ok()) << what;
    EXPECT_EQ(pack.error().code, Code::corrupt) << what;
    EXPECT_FALSE(fs::exists(file(key()))) << what;
  }
  ASSERT_TRUE(save(bytes, key()).ok());
  EXPECT_TRUE(open(key(), bytes.size()).ok());
  EXPECT_FALSE(open(key(), bytes.size() + 64).ok()) << "another size";
  ASSERT_TRUE(save(bytes, key()).ok());
  fs::rename(file(key()), file(key("two")));
  EXPECT_FALSE(open(key("two"), bytes.size()).ok()) << "a pack by another's name";
}

TEST_F(PackCache, InSmallPagesIsReadAllTheSame) {
  const std::string bytes = noise(16 * kRegion);
  ASSERT_TRUE(save(bytes, key()).ok());
  const std::string content = *read_file(file(key()));
  fs::remove(file(key()));
  {
    std::ofstream out(file(key()), std::ios::binary);
    for (size_t i = 0; i < content.size(); i += 4096) {
      out.write(content.data() + i, static_cast<std::streamsize>(std::min<size_t>(4096, content.size() - i))).flush();
    }
  }
  const auto pack = open(key(), bytes.size());
  ASSERT_TRUE(pack.ok()) << pack.error().str();
  EXPECT_EQ(std::memcmp(pack->data(), bytes.data(), bytes.size()), 0);
}

TEST_F(PackCache, WhereNothingCanBeWrittenIsAnError) {
  for (const fs::path& folder : {dir_ / "model.gguf" / "packed", fs::path("/proc/packed")}) {
    const std::string bytes = noise(64);
    EXPECT_FALSE(save_pack(folder, key(), std::as_bytes(std::span(bytes)), nullptr).ok()) << folder;
    EXPECT_FALSE(open_pack(folder, key(), bytes.size(), *pool_).ok()) << folder;
    EXPECT_TRUE(list_packs(folder).empty());
  }
}

TEST_F(PackCache, WhoIsInterruptedLeavesNothing) {
  const std::atomic<bool> cancel{true};
  const std::string bytes = noise(640);
  const auto saved = save_pack(folder_, key(), std::as_bytes(std::span(bytes)), &cancel);
  ASSERT_FALSE(saved.ok());
  EXPECT_EQ(saved.error().code, Code::cancelled);
  EXPECT_EQ(files(), 0u);

  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {  // is killed when it has written half
    auto half = NamelessFile::create(folder_);
    if (!half.ok() || !half->append(std::as_bytes(std::span(bytes))).ok()) ::_exit(1);
    [[maybe_unused]] const auto n = ::write(ready[1], "x", 1);
    for (;;) ::pause();
  }
  char one = 0;
  ASSERT_EQ(::read(ready[0], &one, 1), 1);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  EXPECT_EQ(files(), 0u);
}

TEST_F(PackCache, ManyMayWriteAndReadAtOnce) {
  const std::string bytes = noise(3 * kRegion);
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    children.push_back(::fork());
    if (children.back() != 0) continue;
    const auto pool = *ThreadPool::create(1);
    for (int turn = 0; turn < 5; ++turn) {
      if (!save(bytes, key()).ok()) ::_exit(1);
      const auto pack = open_pack(folder_, key(), bytes.size(), *pool);
      if (pack.ok() ? std::memcmp(pack->data(), bytes.data(), bytes.size()) != 0
                    : pack.error().code != Code::not_found) {
        ::_exit(2);
      }
      if (turn % 2 == i % 2) fs::remove(file(key()));
    }
    ::_exit(0);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  ASSERT_TRUE(save(bytes, key()).ok());
  EXPECT_TRUE(open(key(), bytes.size()).ok());
  EXPECT_EQ(files(), 1u);
}

TEST_F(PackCache, MakesRoom) {
  const std::string bytes = noise(6400);
  const PackKey gone{fingerprint("gone"), (dir_ / "gone.gguf").string()};
  std::ofstream(folder_ / "foreign.miaopack") << "no pack";
  std::ofstream(folder_ / "notes.txt") << "not ours";
  ASSERT_TRUE(save(bytes, gone).ok());
  EXPECT_FALSE(fs::exists(folder_ / "foreign.miaopack"));
  const uint64_t most = 3 * 7000;
  for (const char* name : {"one", "two", "three"}) {
    ASSERT_TRUE(save(bytes, key(name), most).ok()) << name;
    EXPECT_FALSE(fs::exists(file(gone))) << "its checkpoint does not exist";
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // the clock of files is coarse
  }
  EXPECT_TRUE(open(key("one"), bytes.size()).ok());  // so that two is the one used longest ago
  std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(save(bytes, key("four"), most).ok());
  EXPECT_TRUE(fs::exists(file(key("one"))));
  EXPECT_FALSE(fs::exists(file(key("two"))));
  EXPECT_FALSE(save(bytes, key("five"), 6000).ok()) << "more than all may have";
  EXPECT_EQ(list_packs(folder_).size(), 3u);
  fs::remove(dir_ / "model.gguf");
  EXPECT_GT(delete_orphans(folder_), 3 * bytes.size());
  EXPECT_EQ(files(), 1u) << "notes.txt";
}

}  // namespace
}  // namespace miao::models
