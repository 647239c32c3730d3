#include "compress/measurements.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

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

TEST(Measurements, WhatIsNoDatabaseIsAnError) {
  const io::TempDir dir;
  ASSERT_TRUE(write_file_atomic(dir / "m.sqlite", std::string(5000, 'x')).ok());
  const auto store = Measurements::open(dir / "m.sqlite");
  ASSERT_FALSE(store.ok());
  EXPECT_EQ(store.error().code, Code::io);
  EXPECT_NE(store.error().str().find("m.sqlite"), std::string::npos);
  EXPECT_FALSE(Measurements::open("/proc/none/m.sqlite").ok());
}

TEST(Measurements, TheBuildHasAHash) { EXPECT_EQ(build_id().size(), 64u); }

}  // namespace
}  // namespace miao::compress
