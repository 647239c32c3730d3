// The extension module miao._miao; python/miao/__init__.py shows its names to the user.
#include <nanobind/nanobind.h>

#include "python/bind.h"
#include "python/errors.h"
#include "python/log.h"
#include "python/task.h"

NB_MODULE(_miao, module) {
  using namespace miao::python;
  module.doc() = "Language models on a CPU.";
  module.attr("version") = MIAO_VERSION;
  log_to_python();
  translate_exceptions();
  bind_tokenizer(module);
  bind_completion(module);
  bind_speech(module);
  bind_search(module);
  bind_model(module);
  bind_eval(module);
  bind_compress(module);
  // Threads that compute must not meet the end of the process.
  nb::module_::import_("atexit").attr("register")(nb::cpp_function([] { Task::stop_all(); }));
}
