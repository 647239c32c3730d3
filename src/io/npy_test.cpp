// .npy files: the bytes NumPy expects, and nothing left behind when writing stops half way.
#include "io/npy.h"

#include <gtest/gtest.h>

#include "base/check.h"
#include "base/file.h"
#include "io/testing.h"

namespace miao::io {
namespace {

TEST(Npy, BytesAreWhatNumpyReads) {
  TempDir dir;
  auto writer = NpyWriter::create(dir / "a.npy", 3);
  ASSERT_TRUE(writer.ok()) << writer.error().str();
  ASSERT_TRUE(writer->append(std::vector<float>{1, 2, 3}).ok());
  EXPECT_FALSE(std::filesystem::exists(dir / "a.npy"));
  ASSERT_TRUE(writer->append(std::vector<float>{4, 5, 6, 7, 8, 9}).ok());
  ASSERT_TRUE(writer->append({}).ok());
  ASSERT_TRUE(writer->finish().ok());
  EXPECT_EQ(writer->rows(), 3);
  const std::string bytes = *read_file(dir / "a.npy");
  ASSERT_EQ(bytes.size(), 128u + 9 * 4);
  const std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3), }";
  EXPECT_EQ(bytes.substr(0, 10), std::string("\x93NUMPY\x01\x00\x76\x00", 10));
  EXPECT_EQ(bytes.substr(10, dict.size()), dict);
  EXPECT_EQ(bytes.substr(10 + dict.size(), 127 - 10 - dict.size()).find_first_not_of(' '), std::string::npos);
  EXPECT_EQ(bytes[127], '\n');
  EXPECT_EQ(bytes.substr(128), pack_floats(DType::f32, std::vector<float>{1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Npy, WholeArraysAndEmptyOnes) {
  TempDir dir;
  ASSERT_TRUE(write_npy(dir / "a.npy", std::vector<float>{1, 2, 3, 4}, 2).ok());
  EXPECT_NE((*read_file(dir / "a.npy")).find("(2, 2)"), std::string::npos);
  ASSERT_TRUE(write_npy(dir / "a.npy", {}, 5).ok());  // replaces
  EXPECT_NE((*read_file(dir / "a.npy")).find("(0, 5)"), std::string::npos);
}

TEST(Npy, AnAbandonedWriterLeavesNothing) {
  TempDir dir;
  {
    auto writer = NpyWriter::create(dir / "a.npy", 2);
    ASSERT_TRUE(writer.ok());
    NpyWriter moved = std::move(*writer);
    ASSERT_TRUE(moved.append(std::vector<float>{1, 2}).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
}

TEST(Npy, AnErrorNamesTheFile) {
  TempDir dir;
  auto writer = NpyWriter::create(dir / "absent/a.npy", 2);
  ASSERT_FALSE(writer.ok());
  EXPECT_NE(writer.error().str().find("absent/a.npy"), std::string::npos);
  std::filesystem::create_directory(dir / "taken");
  auto blocked = write_npy(dir / "taken", std::vector<float>{1, 2}, 2);
  ASSERT_FALSE(blocked.ok());
  EXPECT_NE(blocked.error().str().find("taken"), std::string::npos);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(dir.path()), {}), 1);  // no temporary left
}

TEST(Npy, PartOfARowIsABug) {
  TempDir dir;
  auto writer = NpyWriter::create(dir / "a.npy", 2);
  EXPECT_THROW((void)writer->append(std::vector<float>{1}), Bug);
}

TEST(Npy, WhatIsWrittenIsRead) {
  TempDir dir;
  ASSERT_TRUE(write_npy(dir / "a.npy", std::vector<float>{1, 2, 3, -4, 5.5f, 6}, 3).ok());
  auto matrix = read_npy(dir / "a.npy");
  ASSERT_TRUE(matrix.ok()) << matrix.error().str();
  EXPECT_EQ(matrix->rows, 2);
  EXPECT_EQ(matrix->cols, 3);
  EXPECT_EQ(matrix->values, (std::vector<float>{1, 2, 3, -4, 5.5f, 6}));
}

TEST(Npy, DevicesAndFoldersAreNotReplaced) {
  TempDir dir;
  for (const std::filesystem::path& path : {std::filesystem::path("/dev/null"), dir.path()}) {
    const auto writer = NpyWriter::create(path, 1);
    ASSERT_FALSE(writer.ok());
    EXPECT_NE(writer.error().str().find(path.string()), std::string::npos) << writer.error().str();
    EXPECT_FALSE(write_file_atomic(path, "x").ok());
  }
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(Npy, BadFiles) {
  const TempDir dir;
  const auto file = [](std::string header, size_t data) {
    std::string out = "\x93NUMPY\x01";
    out += '\0';
    out += static_cast<char>(header.size());
    out += '\0';
    return out + header + std::string(data, '\0');
  };
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
  ASSERT_TRUE(write_file_atomic(dir / "good.npy", file(good, 24)).ok());
  EXPECT_TRUE(read_npy(dir / "good.npy").ok());
  const std::string bad[] = {"",
                             "\x93NUMPY",
                             "PK" + file(good, 24).substr(2),
                             file(good, 20),
                             file(good, 28),
                             file(good, 25),
                             file("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }", 48),
                             file("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }", 24),
                             file("{'descr': '<f4', 'fortran_order': False}", 24),
                             file("{'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4),
                             file("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2, 3)}", 24),
                             file("{'descr': '<f4', 'fortran_order': False, 'shape': (-2, -3)}", 24),
                             file("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4)}", 0),
                             file(good, 24).substr(0, 40)};
  for (const std::string& bytes : bad) {
    ASSERT_TRUE(write_file_atomic(dir / "bad.npy", bytes).ok());
    EXPECT_FALSE(read_npy(dir / "bad.npy").ok()) << bytes;
  }
  EXPECT_FALSE(read_npy(dir / "none.npy").ok());
}

}  // namespace
}  // namespace miao::io
