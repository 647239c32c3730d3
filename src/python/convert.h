// Between Python's objects and the types of the engine. Wrong types are TypeErrors and wrong values miao.Invalid, both
// of which name the argument. All functions need the GIL.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "python/errors.h"

// What to_ids takes, for signatures.
#define MIAO_IDS "collections.abc.Sequence[int] | numpy.typing.NDArray[numpy.integer[typing.Any]]"

namespace miao::python {

nb::str to_str(std::string_view text);  // bytes that are not UTF-8 become U+FFFD

std::string to_text(nb::handle object, std::string_view what);                            // a str
int64_t to_integer(nb::handle object, std::string_view what, int64_t low, int64_t high);  // whatever has __index__
uint64_t to_seed(nb::handle object, std::string_view what);
double to_number(nb::handle object, std::string_view what);
std::vector<int32_t> to_ids(nb::handle object, std::string_view what);  // a sequence of integers, such as a NumPy array
std::vector<std::string> to_texts(nb::handle object, std::string_view what);  // an iterable of str
// What messages call element i of `list`, or the only one: "texts[i]", "texts".
std::string item_name(const char* list, size_t i, bool only);
bool to_bool(nb::handle object, std::string_view what);

// As arguments, only such objects: a sequence that begins with another one, or with a str. Else overloads are told
// apart by their order.
struct Batch {
  nb::object object;
};
struct Texts {
  nb::object object;
};
bool is_batch(nb::handle object) noexcept;
bool is_texts(nb::handle object) noexcept;
std::vector<std::vector<int32_t>> to_batch(const Batch& batch, std::string_view what);
// Through Python's json.dumps.
std::string to_json(nb::handle object);
std::filesystem::path to_path(nb::handle object);  // str, bytes or os.PathLike
// A copy of a one-dimensional array of floating-point numbers.
std::vector<float> to_samples(nb::handle object, std::string_view what);

using Vector = nb::ndarray<nb::numpy, float, nb::ndim<1>>;
using Matrix = nb::ndarray<nb::numpy, float, nb::ndim<2>>;
struct Block {  // (rows, columns) in row order
  Block() = default;
  Block(size_t height, size_t width)
      : values(std::make_unique_for_overwrite<float[]>(height * width)), rows(height), columns(width) {}
  std::unique_ptr<float[]> values;
  size_t rows = 0, columns = 0;
};
// The array takes over the values.
Vector to_numpy(std::unique_ptr<float[]> values, size_t size);
Matrix to_numpy(Block block);
nb::list to_numpy(std::vector<Block> blocks);

}  // namespace miao::python

namespace nanobind::detail {

template <>
struct type_caster<miao::python::Batch> {
  NB_TYPE_CASTER(miao::python::Batch, const_name("collections.abc.Sequence[collections.abc.Sequence[int]]"))
  bool from_python(handle source, uint32_t, cleanup_list*) noexcept {
    if (!miao::python::is_batch(source)) return false;
    value.object = borrow(source);
    return true;
  }
};

template <>
struct type_caster<miao::python::Texts> {
  NB_TYPE_CASTER(miao::python::Texts, const_name("collections.abc.Sequence[str]"))
  bool from_python(handle source, uint32_t, cleanup_list*) noexcept {
    if (!miao::python::is_texts(source)) return false;
    value.object = borrow(source);
    return true;
  }
};

}  // namespace nanobind::detail
