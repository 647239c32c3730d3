#include "python/errors.h"

#include <exception>
#include <new>

#include "base/check.h"
#include "python/convert.h"

namespace miao::python {

namespace {

// The class is looked up when it is needed: the extension module alone, as the stub generator loads it, has no package.
void set_exception(const char* name, std::string_view message, std::string_view where) {
  const nb::object type = nb::module_::import_("miao.errors").attr(name);
  const nb::object exception = type(to_str(message), to_str(where));
  PyErr_SetObject(type.ptr(), exception.ptr());
}

const char* class_name(Code code) {
  constexpr const char* kNames[] = {"NotFound", "Corrupt",   "Unsupported", "Invalid", "OutOfMemory",
                                    "Busy",     "Cancelled", "Io",          "Device"};
  return kNames[static_cast<size_t>(code)];
}

void translate(const std::exception_ptr& pointer, void*) {
  try {
    std::rethrow_exception(pointer);
  } catch (const std::bad_alloc&) {
    set_exception("OutOfMemory", "out of memory; free some or use a smaller model or context", {});
  } catch (const std::exception& error) {
    set_exception("Bug", error.what(), {});
  }
}

}  // namespace

void raise_pending() { throw nb::python_error(); }

void raise(const Error& error) {
  set_exception(class_name(error.code), error.str(), error.where);
  raise_pending();
}

void raise_type_error(std::string_view message) {
  PyErr_SetObject(PyExc_TypeError, to_str(message).ptr());
  raise_pending();
}

void translate_exceptions() { nb::register_exception_translator(translate); }

}  // namespace miao::python
