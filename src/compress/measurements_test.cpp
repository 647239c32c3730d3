#include "compress/measurements.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>

#include "base/file.h"
#include "base/json.h"
#include "io/testing.h"

namespace miao::compress {
namespace {

TEST(Measurements, AreFoundByAllThatTheyDependOn) {
  const io::TempDir dir;
  {
    auto store = Measurements::open(dir / "deep" / "m.sqlite");
    ASSERT_TRUE(store.ok()) << store.error().str();
    EXPECT_FALSE(store->find({{"model", "a"}}));
    const auto kept = store->keep({{"model", "a"}, {"threads", 2}}, {1.5, "x"});
    ASSERT_TRUE(kept.ok()) << kept.error().str();
    ASSERT_TRUE(store->keep({{"model", "a"}, {"threads", 1}}, 7).ok());
    ASSERT_TRUE(store->keep({{"model", "a"}, {"threads", 1}}, 8).ok());
    EXPECT_EQ(store->size(), 2);
  }
  auto again = Measurements::open(dir / "deep" / "m.sqlite");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->find({{"model", "a"}, {"threads", 2}}), Json({1.5, "x"}));
  EXPECT_EQ(again->find({{"threads", 1}, {"model", "a"}}), Json(8)) << "the order of keys means nothing";
  EXPECT_FALSE(again->find({{"model", "b"}, {"threads", 2}}));
}

TEST(Measurements, DamagedValuesAreNone) {
  const io::TempDir dir;
  {
    auto store = Measurements::open(dir / "m.sqlite");
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE(store->keep("k", 12345).ok());
  }
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open((dir / "m.sqlite").c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "UPDATE measurements SET value = '12346'", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  auto store = Measurements::open(dir / "m.sqlite");
  ASSERT_TRUE(store.ok());
  EXPECT_FALSE(store->find("k"));
}

TEST(Measurements, ADamagedStoreIsSetAsideAndBegunAnew) {
  const io::TempDir dir;
  const auto path = dir / "m.sqlite";
  const auto begun_anew = [&](const std::string& damaged) {
    ASSERT_TRUE(write_file_atomic(path, damaged).ok());
    auto store = Measurements::open(path);
    ASSERT_TRUE(store.ok()) << store.error().str();
    EXPECT_EQ(store->size(), 0);
    EXPECT_TRUE(store->keep("k", 1).ok());
    EXPECT_EQ(read_file(path.string() + ".damaged").ok() ? *read_file(path.string() + ".damaged") : "", damaged);
  };
  begun_anew(std::string(5000, 'x'));  // no database at all
  std::string whole;
  {
    auto store = Measurements::open(dir / "whole.sqlite");
    ASSERT_TRUE(store.ok());
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(store->keep({{"k", i}}, std::string(200, 'v')).ok());
  }
  whole = *read_file(dir / "whole.sqlite");
  ASSERT_GT(whole.size(), 20'000u);
  std::fill(whole.begin() + 9000, whole.begin() + 16000, '\x55');  // pages in the midst of it
  begun_anew(whole);
}

TEST(Measurements, AFolderThatCannotBeMadeIsAnError) {
  const auto store = Measurements::open("/proc/none/m.sqlite");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, Code::io);
  EXPECT_NE(store.error().str().find("m.sqlite"), std::string::npos);
}

TEST(Measurements, ListsWhatSearchesKeep) {
  const io::TempDir dir;
  EXPECT_TRUE(list_measurements(dir.path()).empty());
  ASSERT_TRUE(Measurements::open(store_file(dir.path())).ok());
  std::filesystem::create_directories(importance_folder(dir.path()));
  ASSERT_TRUE(write_file_atomic(importance_folder(dir.path()) / "a.gguf", "12345").ok());
  ASSERT_TRUE(write_file_atomic(dir / "other.json", "{}").ok());
  const auto files = list_measurements(dir.path());
  ASSERT_EQ(files.size(), 2u);
  EXPECT_EQ(files[0].path, store_file(dir.path()));
  EXPECT_EQ(files[1].bytes, 5u);
}

TEST(Measurements, TheBuildHasAHash) { EXPECT_EQ(build_id().size(), 64u); }

}  // namespace
}  // namespace miao::compress
