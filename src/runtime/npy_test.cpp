#include "runtime/npy.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "io/testing.h"

namespace miao::runtime {
namespace {

TEST(Npy, RoundTrip) {
  const io::TempDir dir;
  auto writer = NpyWriter::create(dir / "x.npy", 2, 3);
  ASSERT_TRUE(writer.ok());
  const float rows[2][3] = {{1, 2, 3}, {-4, 5.5f, 6}};
  for (const auto& row : rows) ASSERT_TRUE(writer->add(row).ok());
  EXPECT_FALSE(std::filesystem::exists(dir / "x.npy"));
  ASSERT_TRUE(writer->finish().ok());
  auto bytes = read_file(dir / "x.npy");
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(bytes->size() % 64, 24u);  // the data starts at a multiple of 64
  EXPECT_TRUE(bytes->starts_with("\x93NUMPY\x01"));
  auto matrix = read_npy(dir / "x.npy");
  ASSERT_TRUE(matrix.ok()) << matrix.error().str();
  EXPECT_EQ(matrix->rows, 2);
  EXPECT_EQ(matrix->cols, 3);
  EXPECT_EQ(matrix->values, (std::vector<float>{1, 2, 3, -4, 5.5f, 6}));
}

TEST(Npy, NothingIsLeftOfAnUnfinishedFile) {
  const io::TempDir dir;
  { ASSERT_TRUE(NpyWriter::create(dir / "x.npy", 2, 3).ok()); }
  EXPECT_TRUE(std::filesystem::is_empty(dir.path()));
  EXPECT_FALSE(NpyWriter::create(dir / "none" / "x.npy", 1, 1).ok());
}

TEST(Npy, BadFiles) {
  const io::TempDir dir;
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
}  // namespace miao::runtime
