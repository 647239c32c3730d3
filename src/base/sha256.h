// Digests through OpenSSL: SHA-256 of files and downloads, SHA-1 for the names that git gives to small files.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace miao {

class Hasher {
 public:
  enum class Kind { sha1, sha256 };
  explicit Hasher(Kind kind = Kind::sha256);
  void add(std::string_view bytes);
  std::string hex();  // lower case; ends the digest: call once

 private:
  struct Close {
    void operator()(void* context) const;
  };
  std::unique_ptr<void, Close> context_;  // EVP_MD_CTX
};

std::string sha256_hex(std::string_view bytes);
Result<std::string> sha256_file(const std::filesystem::path& path);

}  // namespace miao
