// Result<T>: a value or an Error. Everything that a file, a flag or a request can cause is an Error, never an
// exception.
//
// An Error says what is wrong (code, message with the mend) and where (file, offset, tensor or key).
//   Result<int> f();            MIAO_TRY(int x, f());  // returns the Error from the calling function
//   Result<void> g();           MIAO_CHECK_OK(g());
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace miao {

enum class Code { not_found, corrupt, unsupported, invalid, out_of_memory, busy, cancelled, io, device };

const char* code_name(Code code);

struct Error {
  Code code = Code::invalid;
  std::string message;  // one line: what is wrong and how to mend it
  std::string where;    // "file.gguf: tensor blk.0.attn_q.weight"; may be empty

  std::string str() const;              // "where: message (code)", each cut in the middle where it is over 1500 bytes
  Error at(std::string_view place) &&;  // prefixes `where` with an outer place
};

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : value_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return value_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() & { return *std::get_if<0>(&value_); }
  const T& operator*() const& { return *std::get_if<0>(&value_); }
  T operator*() && { return std::move(*std::get_if<0>(&value_)); }  // by value: safe in a range-for
  T* operator->() { return std::get_if<0>(&value_); }
  const T* operator->() const { return std::get_if<0>(&value_); }
  Error& error() { return *std::get_if<1>(&value_); }
  const Error& error() const { return *std::get_if<1>(&value_); }

 private:
  std::variant<T, Error> value_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  Error& error() { return *error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

#define MIAO_CONCAT2(a, b) a##b
#define MIAO_CONCAT(a, b) MIAO_CONCAT2(a, b)
#define MIAO_TRY_IMPL(tmp, decl, expr)          \
  auto tmp = (expr);                            \
  if (!tmp.ok()) return std::move(tmp.error()); \
  decl = std::move(*tmp)
// MIAO_TRY(T x, expr): x is the value of expr, or the Error is returned from the enclosing function.
#define MIAO_TRY(decl, expr) MIAO_TRY_IMPL(MIAO_CONCAT(miao_try_, __LINE__), decl, expr)
// MIAO_CHECK_OK(expr): for Result<void> (or a value that is not wanted).
#define MIAO_CHECK_OK_IMPL(tmp, expr)                                \
  do {                                                               \
    if (auto tmp = (expr); !tmp.ok()) return std::move(tmp.error()); \
  } while (0)
#define MIAO_CHECK_OK(expr) MIAO_CHECK_OK_IMPL(MIAO_CONCAT(miao_ok_, __LINE__), expr)

}  // namespace miao
