#include "search/vectors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/checksum.h"
#include "base/file.h"
#include "io/testing.h"

namespace miao::search {
namespace {

namespace fs = std::filesystem;

// Around `centres` centres, as texts stand around topics.
std::vector<float> clustered(int64_t rows, int64_t dim, int centres, unsigned seed) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<float> middle(static_cast<size_t>(centres * dim));
  for (float& x : middle) x = normal(random);
  random.seed(seed);
  std::vector<float> out;
  for (int64_t i = 0; i < rows; ++i) {
    const size_t centre = random() % static_cast<unsigned>(centres);
    for (size_t j = 0; j < static_cast<size_t>(dim); ++j) {
      out.push_back(middle[centre * static_cast<size_t>(dim) + j] + 0.6F * normal(random));
    }
  }
  return out;
}

VectorIndex index_of(const std::vector<float>& rows, int64_t dim) {
  VectorIndex index(dim);
  EXPECT_TRUE(index.add(rows).ok());
  return index;
}

// The share of the ten nearest rows that approximate search finds too.
double recall(const VectorIndex& index, int queries) {
  const auto dim = static_cast<size_t>(index.dim());
  const std::vector<float> all = clustered(queries, index.dim(), 100, 99);
  int found = 0;
  for (size_t q = 0; q < static_cast<size_t>(queries); ++q) {
    const auto query = std::span(all).subspan(q * dim, dim);
    const auto exact = index.query(query, 10, Method::exact), fast = index.query(query, 10, Method::approximate);
    EXPECT_TRUE(exact.ok() && fast.ok());
    EXPECT_EQ(fast->size(), 10u);
    for (const Hit& hit : *exact) {
      found += std::any_of(fast->begin(), fast->end(), [&](const Hit& h) { return h.row == hit.row; });
    }
  }
  return found / (10.0 * queries);
}

TEST(Vectors, ExactSearchGivesTheBestFirst) {
  const VectorIndex index = index_of({1, 0, 0, 2, -3, 0, 3, 3, 0, 0}, 2);
  const float query[] = {5, 5};
  const auto hits = index.query(query, 4, Method::exact);
  ASSERT_TRUE(hits.ok());
  ASSERT_EQ(hits->size(), 4u);
  const int64_t rows[] = {3, 0, 1, 4};
  const double scores[] = {1, std::sqrt(0.5), std::sqrt(0.5), 0};
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ((*hits)[i].row, rows[i]);
    EXPECT_NEAR(double{(*hits)[i].score}, scores[i], 1e-6);
  }
  EXPECT_EQ(index.query(query, 100, Method::approximate)->size(), 5u);  // not connected: exact
  EXPECT_TRUE(VectorIndex(2).query(query, 3, Method::exact)->empty());
}

TEST(Vectors, ApproximateSearchFindsWhatExactSearchFinds) {
  VectorIndex index = index_of(clustered(4000, 48, 100, 1), 48);
  ASSERT_TRUE(index.connect().ok());
  EXPECT_GE(recall(index, 200), 0.95);
}

TEST(SlowVectors, ApproximateSearchOfManyRows) {
  VectorIndex index = index_of(clustered(30000, 384, 100, 1), 384);
  ASSERT_TRUE(index.connect().ok());
  EXPECT_GE(recall(index, 200), 0.95);
}

TEST(Vectors, RowsAddedLaterAreFoundToo) {
  const std::vector<float> rows = clustered(3000, 32, 100, 1);
  VectorIndex index = index_of({rows.begin(), rows.begin() + 2000 * 32}, 32);
  ASSERT_TRUE(index.connect().ok());
  ASSERT_TRUE(index.add(std::span(rows).subspan(2000 * 32)).ok());
  EXPECT_FALSE(index.connected());
  ASSERT_TRUE(index.connect().ok());
  EXPECT_TRUE(index.connected());
  EXPECT_GE(recall(index, 100), 0.95);
  EXPECT_EQ(index.query(index.row(2500), 1, Method::approximate)->front().row, 2500);
}

TEST(Vectors, KeepLeavesTheOthersOut) {
  VectorIndex index = index_of({1, 0, 0, 1, -1, 0}, 2);
  ASSERT_TRUE(index.connect().ok());
  const int64_t kept[] = {1, 2};
  index.keep(kept);
  ASSERT_EQ(index.rows(), 2);
  EXPECT_EQ(index.row(0)[1], 1.0F);
  EXPECT_EQ(index.row(1)[0], -1.0F);
  EXPECT_FALSE(index.connected());
}

TEST(Vectors, BadVectorsAreErrors) {
  VectorIndex index(2);
  const float part[] = {1, 2, 3}, none[] = {1, 2, std::nanf(""), 1}, huge[] = {INFINITY, 1};
  EXPECT_EQ(index.add(part).error().message, "3 numbers are no whole vectors of 2");
  EXPECT_EQ(index.add(none).error().message, "vector 2 holds a number that is none");
  EXPECT_FALSE(index.add(huge).ok());
  EXPECT_EQ(index.rows(), 0);
  EXPECT_EQ(index.query(part, 1, Method::exact).error().message, "the vector has 3 numbers, those of the index have 2");
  EXPECT_FALSE(index.query(huge, 1, Method::exact).ok());
}

TEST(Vectors, ConnectingCanBeInterruptedAndGoneOnWith) {
  VectorIndex index = index_of(clustered(200, 8, 4, 1), 8);
  std::atomic<bool> cancel{false};
  const auto progress = [&](int64_t done, int64_t) { cancel = done == 100; };
  const auto stopped = index.connect({.progress = progress, .cancel = &cancel});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.error().code, Code::cancelled);
  EXPECT_FALSE(index.connected());
  ASSERT_TRUE(index.connect().ok());
  VectorIndex whole = index_of(clustered(200, 8, 4, 1), 8);
  ASSERT_TRUE(whole.connect().ok());
  io::TempDir dir;
  ASSERT_TRUE(index.save(dir / "a").ok() && whole.save(dir / "b").ok());
  EXPECT_EQ(*read_file(dir / "a"), *read_file(dir / "b"));
}

TEST(Vectors, ASavedIndexIsTheSame) {
  io::TempDir dir;
  for (const bool connected : {false, true}) {
    VectorIndex index = index_of(clustered(1000, 24, 20, 3), 24);
    if (connected) ASSERT_TRUE(index.connect().ok());
    ASSERT_TRUE(index.save(dir / "i", "mine").ok());
    auto loaded = VectorIndex::load(dir / "i");
    ASSERT_TRUE(loaded.ok()) << loaded.error().str();
    EXPECT_EQ(loaded->extra, "mine");
    EXPECT_EQ(loaded->index.connected(), connected);
    ASSERT_TRUE(loaded->index.save(dir / "again", "mine").ok());
    EXPECT_EQ(*read_file(dir / "i"), *read_file(dir / "again"));
    for (int64_t i = 0; i < 1000; i += 50) {
      const auto a = index.query(index.row(i), 5, Method::approximate);
      const auto b = loaded->index.query(index.row(i), 5, Method::approximate);
      ASSERT_TRUE(a.ok() && b.ok());
      for (size_t n = 0; n < a->size(); ++n) EXPECT_EQ((*a)[n].row, (*b)[n].row);
    }
    ASSERT_TRUE(loaded->index.add(clustered(100, 24, 20, 4)).ok());
    EXPECT_TRUE(loaded->index.connect().ok());
  }
}

// A small connected index with the bytes at `at` replaced.
std::string damaged(const io::TempDir& dir, size_t at, const std::string& bytes) {
  VectorIndex index = index_of(clustered(300, 8, 4, 1), 8);
  EXPECT_TRUE(index.connect().ok() && index.save(dir / "i", "extra").ok());
  std::string file = *read_file(dir / "i");
  file.replace(std::min(at, file.size()), bytes.size(), bytes);
  return file;
}

TEST(Vectors, DamageIsFoundWhereverItIs) {
  io::TempDir dir;
  const std::string whole = damaged(dir, 0, "");
  const fs::path path = dir / "bad";
  for (size_t at = 0; at < whole.size(); at += at < 80 ? 3 : 397) {
    std::string file = whole;
    file[at] = static_cast<char>(file[at] ^ 4);
    ASSERT_TRUE(write_file_atomic(path, file).ok());
    const auto loaded = VectorIndex::load(path);
    ASSERT_FALSE(loaded.ok()) << at;
    EXPECT_EQ(loaded.error().code, at < 8 ? Code::invalid : Code::corrupt) << at;
    ASSERT_TRUE(write_file_atomic(path, std::string_view(whole).substr(0, at)).ok());
    EXPECT_FALSE(VectorIndex::load(path).ok()) << at;
  }
  ASSERT_TRUE(write_file_atomic(path, whole + "x").ok());
  EXPECT_FALSE(VectorIndex::load(path).ok());
  EXPECT_EQ(VectorIndex::load(dir / "none").error().code, Code::not_found);
}

// Checksums are right, and what they cover is not: nobody's file may lead the search astray.
TEST(Vectors, LinksThatLeadNowhereAreFound) {
  io::TempDir dir;
  const std::string whole = damaged(dir, 0, "");
  const size_t graph = 72 + 300 * 8 * sizeof(float);
  const auto load = [&](std::string file) {
    const size_t graph_bytes = file.size() - graph - 5;
    const auto seal = [&](size_t at, std::string_view part) {
      const std::string sum = io::le_bytes(checksum(std::as_bytes(std::span(part))));
      file.replace(at, 8, sum);
    };
    const std::string rows = file.substr(72, graph - 72), links = file.substr(graph, graph_bytes);
    file.replace(24, 8, io::le_bytes(uint64_t{graph_bytes}));
    seal(40, rows);
    seal(48, links);
    seal(64, std::string(file.substr(0, 64)));
    EXPECT_TRUE(write_file_atomic(dir / "bad", file).ok());
    return VectorIndex::load(dir / "bad");
  };
  ASSERT_TRUE(load(whole).ok());
  std::mt19937 random(1);
  int refused = 0;
  for (int i = 0; i < 150; ++i) {
    std::string file = whole;
    const size_t at = graph + random() % (file.size() - graph - 5);
    file[at] = static_cast<char>(random());
    const auto loaded = load(file);
    refused += !loaded.ok();
    if (loaded.ok()) EXPECT_TRUE(loaded->index.query(loaded->index.row(1), 10, Method::approximate).ok());
  }
  EXPECT_GT(refused, 30);
  std::string file = whole;
  file.erase(file.size() - 9, 4);
  EXPECT_FALSE(load(file).ok());
  file = whole;
  file.replace(80, 4, io::le_bytes(std::nanf("")));
  EXPECT_FALSE(load(file).ok());
}

TEST(Vectors, SavingTellsWhyItCannot) {
  io::TempDir dir;
  const VectorIndex index = index_of({1, 0}, 2);
  EXPECT_EQ(index.save(dir / "no" / "i").error().code, Code::not_found);
  EXPECT_EQ(index.save(dir.path()).error().code, Code::invalid);
  const auto full = index.save("/dev/full");
  ASSERT_FALSE(full.ok());
  EXPECT_NE(full.error().message.find("not an ordinary file"), std::string::npos);
}

}  // namespace
}  // namespace miao::search
