#include "base/checksum.h"

#include <gtest/gtest.h>

namespace miao {
namespace {

// Files on disk carry these numbers, so they must never change: values of the reference implementation (xxhsum -H3,
// -H2).
TEST(Checksum, IsXxh3) {
  EXPECT_EQ(checksum({}), 0x2d06800538d394c2u);
  const std::string text = "abc";
  EXPECT_EQ(checksum(std::as_bytes(std::span(text))), 0x78af5f94892f3950u);
  EXPECT_EQ(fingerprint("abc"), "06b05ab6733a618578af5f94892f3950");
  EXPECT_EQ(fingerprint(""), "99aa06d3014798d86001c324468d497f");
}

}  // namespace
}  // namespace miao
