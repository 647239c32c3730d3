// The parts of the extension module, in the order in which module.cpp adds them: a class before what returns it.
#pragma once

#include <nanobind/nanobind.h>

namespace miao::python {

void bind_tokenizer(nanobind::module_& module);
void bind_completion(nanobind::module_& module);
void bind_speech(nanobind::module_& module);
void bind_search(nanobind::module_& module);
void bind_model(nanobind::module_& module);
void bind_eval(nanobind::module_& module);
void bind_compress(nanobind::module_& module);

}  // namespace miao::python
