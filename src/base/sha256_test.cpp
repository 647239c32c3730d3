#include "base/sha256.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace miao {
namespace {

TEST(Sha256, KnownDigests) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Hasher sha1(Hasher::Kind::sha1);
  sha1.add("a");
  sha1.add("bc");
  EXPECT_EQ(sha1.hex(), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(Sha256, FilesInPieces) {
  const std::string path = testing::TempDir() + "sha256_test.bin";
  std::ofstream(path) << std::string(3000000, 'a');
  auto digest = sha256_file(path);
  ASSERT_TRUE(digest.ok());
  EXPECT_EQ(*digest, sha256_hex(std::string(3000000, 'a')));
  std::remove(path.c_str());
  auto absent = sha256_file(path);
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().code, Code::not_found);
}

}  // namespace
}  // namespace miao
