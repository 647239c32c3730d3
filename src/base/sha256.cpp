// OpenSSL's EVP interface picks the processor's SHA instructions by itself.
#include "base/sha256.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "base/check.h"

namespace miao {

void Hasher::Close::operator()(void* context) const { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }

Hasher::Hasher(Kind kind) : context_(EVP_MD_CTX_new()) {
  const EVP_MD* digest = kind == Kind::sha1 ? EVP_sha1() : EVP_sha256();
  MIAO_CHECK(context_ && EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), digest, nullptr) == 1);
}

void Hasher::add(std::string_view bytes) {
  MIAO_CHECK(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), bytes.data(), bytes.size()) == 1);
}

std::string Hasher::hex() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  MIAO_CHECK(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()), digest, &size) == 1);
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (unsigned int i = 0; i < size; ++i) {
    out += kDigits[digest[i] >> 4];
    out += kDigits[digest[i] & 15];
  }
  return out;
}

std::string sha256_hex(std::string_view bytes) {
  Hasher hasher;
  hasher.add(bytes);
  return hasher.hex();
}

Result<std::string> sha256_file(const std::filesystem::path& path) {
  struct Closer {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  const std::unique_ptr<std::FILE, Closer> file(std::fopen(path.c_str(), "rbe"));
  if (!file) {
    return Error{errno == ENOENT ? Code::not_found : Code::io, std::string("cannot open: ") + std::strerror(errno),
                 path.string()};
  }
  Hasher hasher;
  std::vector<char> buffer(size_t{1} << 20);
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get())) hasher.add({buffer.data(), n});
  if (std::ferror(file.get())) return Error{Code::io, "cannot read", path.string()};
  return hasher.hex();
}

}  // namespace miao
