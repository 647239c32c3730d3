// Errors of miao as Python's exceptions: a Result is unwrapped where a binding returns, and an Error becomes the class
// of python/miao/errors.py that has its code. All functions need the GIL.
#pragma once

#include <nanobind/nanobind.h>

#include <string_view>
#include <type_traits>
#include <utility>

#include "base/result.h"

namespace miao::python {

namespace nb = nanobind;

[[noreturn]] void raise(const Error& error);
[[noreturn]] void raise_pending();  // what a function of Python's C API has set
[[noreturn]] void raise_type_error(std::string_view message);

template <class T>
T value(Result<T> result) {
  if (!result.ok()) raise(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

template <class T>
T value(Result<T> result, std::string_view place) {
  return value(result.ok() ? std::move(result) : Result<T>(std::move(result.error()).at(place)));
}

// From now on a Bug, exhausted memory and any other C++ exception reach Python as exceptions of miao too.
void translate_exceptions();

}  // namespace miao::python
