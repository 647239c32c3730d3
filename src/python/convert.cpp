#include "python/convert.h"

namespace miao::python {

namespace {

[[noreturn]] void wrong_type(std::string_view what, const char* wanted, nb::handle object) {
  raise_type_error(std::string(what) + " must be " + wanted + ", not " + Py_TYPE(object.ptr())->tp_name);
}

bool is_sequence(nb::handle object) {
  return PySequence_Check(object.ptr()) && !PyUnicode_Check(object.ptr()) && !PyBytes_Check(object.ptr());
}

// A sequence whose first element is `wanted`.
template <class Wanted>
bool begins_with(nb::handle object, Wanted wanted) noexcept {
  if (!is_sequence(object) || PySequence_Size(object.ptr()) < 1) {
    PyErr_Clear();
    return false;
  }
  PyObject* const first = PySequence_GetItem(object.ptr(), 0);
  const bool found = first && wanted(first);
  PyErr_Clear();
  Py_XDECREF(first);
  return found;
}

nb::capsule owner_of(std::unique_ptr<float[]>& values) {
  nb::capsule owner(values.get(), [](void* data) noexcept { delete[] static_cast<float*>(data); });
  (void)values.release();
  return owner;
}

}  // namespace

nb::str to_str(std::string_view text) {
  PyObject* const object = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace");
  if (!object) raise_pending();
  return nb::steal<nb::str>(object);
}

std::string to_text(nb::handle object, std::string_view what) {
  if (!PyUnicode_Check(object.ptr())) wrong_type(what, "str", object);
  Py_ssize_t size = 0;
  const char* const text = PyUnicode_AsUTF8AndSize(object.ptr(), &size);
  if (!text) raise_pending();  // UnicodeEncodeError, for lone surrogates
  return {text, static_cast<size_t>(size)};
}

int64_t to_integer(nb::handle object, std::string_view what, int64_t low, int64_t high) {
  if (!PyIndex_Check(object.ptr())) wrong_type(what, "an integer", object);
  const nb::object number = nb::steal(PyNumber_Index(object.ptr()));
  if (!number.is_valid()) raise_pending();
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow != 0 || value < low || value > high) {
    raise({Code::invalid,
           "is " + std::string(nb::str(number).c_str()) + ", which is not within " + std::to_string(low) + " and " +
               std::to_string(high),
           std::string(what)});
  }
  return value;
}

double to_number(nb::handle object, std::string_view what) {
  if (!PyNumber_Check(object.ptr())) wrong_type(what, "a number", object);
  const double value = PyFloat_AsDouble(object.ptr());
  if (value == -1 && PyErr_Occurred()) raise_pending();
  return value;
}

uint64_t to_seed(nb::handle object, std::string_view what) {
  const uint64_t seed = PyLong_Check(object.ptr()) ? PyLong_AsUnsignedLongLong(object.ptr())
                                                   : static_cast<uint64_t>(to_integer(object, what, 0, INT64_MAX));
  if (!PyErr_Occurred()) return seed;
  PyErr_Clear();
  raise({Code::invalid, "must lie in 0 .. 2^64 - 1", std::string(what)});
}

std::vector<int32_t> to_ids(nb::handle object, std::string_view what) {
  if (!is_sequence(object)) wrong_type(what, "a sequence of token ids", object);
  std::vector<int32_t> out;
  out.reserve(nb::len(object));
  for (const nb::handle id : object) {
    int overflow = 0;
    const long long plain = PyLong_CheckExact(id.ptr()) ? PyLong_AsLongLongAndOverflow(id.ptr(), &overflow) : -1;
    if (overflow == 0 && plain >= 0 && plain <= INT32_MAX) {
      out.push_back(static_cast<int32_t>(plain));
      continue;
    }
    const std::string place = std::string(what) + "[" + std::to_string(out.size()) + "]";
    out.push_back(static_cast<int32_t>(to_integer(id, place, INT32_MIN, INT32_MAX)));
  }
  if (out.empty()) raise({Code::invalid, "is empty", std::string(what)});
  return out;
}

std::vector<std::string> to_texts(nb::handle object, std::string_view what) {
  const bool one = PyUnicode_Check(object.ptr()) || PyBytes_Check(object.ptr()) || PyDict_Check(object.ptr());
  if (one || !nb::hasattr(object, "__iter__")) wrong_type(what, "a list of str", object);
  std::vector<std::string> out;
  for (const nb::handle text : object) {
    out.push_back(to_text(text, std::string(what) + "[" + std::to_string(out.size()) + "]"));
  }
  return out;
}

std::string item_name(const char* list, size_t i, bool only) {
  return only ? list : std::string(list) + "[" + std::to_string(i) + "]";
}

bool to_bool(nb::handle object, std::string_view what) {
  if (!PyBool_Check(object.ptr())) wrong_type(what, "True or False", object);
  return object.ptr() == Py_True;
}

bool is_batch(nb::handle object) noexcept { return begins_with(object, is_sequence); }
bool is_texts(nb::handle object) noexcept {
  return begins_with(object, [](nb::handle first) -> bool { return PyUnicode_Check(first.ptr()); });
}

std::vector<std::vector<int32_t>> to_batch(const Batch& batch, std::string_view what) {
  std::vector<std::vector<int32_t>> out;
  for (const nb::handle ids : batch.object) {
    out.push_back(to_ids(ids, std::string(what) + "[" + std::to_string(out.size()) + "]"));
  }
  return out;
}

std::string to_json(nb::handle object) {
  const nb::object text = nb::module_::import_("json").attr("dumps")(object, nb::arg("allow_nan") = false);
  return to_text(text, "json.dumps");
}

std::filesystem::path to_path(nb::handle object) {
  PyObject* bytes = nullptr;
  if (!PyUnicode_FSConverter(object.ptr(), &bytes)) raise_pending();  // TypeError; ValueError for a NUL
  const nb::object owner = nb::steal(bytes);
  return std::string(PyBytes_AS_STRING(bytes), static_cast<size_t>(PyBytes_GET_SIZE(bytes)));
}

std::vector<float> to_samples(nb::handle object, std::string_view what) {
  nb::ndarray<nb::ro> any;
  if (!nb::try_cast(object, any, /*convert=*/false)) wrong_type(what, "a NumPy array of floats", object);
  if (any.ndim() != 1) {
    raise({Code::invalid, "has " + std::to_string(any.ndim()) + " dimensions, not one: average the channels",
           std::string(what)});
  }
  if (any.dtype().code != static_cast<uint8_t>(nb::dlpack::dtype_code::Float)) {
    raise_type_error(std::string(what) + " must hold floats within -1 .. 1: divide integers by their largest value");
  }
  const auto samples = nb::cast<nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>>(object);
  return {samples.data(), samples.data() + samples.size()};
}

Vector to_numpy(std::unique_ptr<float[]> values, size_t size) {
  float* const data = values.get();
  return Vector(data, {size}, owner_of(values));
}

Matrix to_numpy(Block block) {
  float* const data = block.values.get();
  return Matrix(data, {block.rows, block.columns}, owner_of(block.values));
}

nb::list to_numpy(std::vector<Block> blocks) {
  nb::list out;
  for (Block& block : blocks) out.append(to_numpy(std::move(block)));
  return out;
}

}  // namespace miao::python
