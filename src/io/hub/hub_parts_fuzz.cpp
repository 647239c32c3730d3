// Index pages, configuration files, versions and references: everything of the hub that reads foreign text.
#include <cstdint>
#include <string>
#include <string_view>

#include "io/hub/model_files.h"
#include "io/hub/pip_config.h"
#include "io/hub/ref.h"
#include "io/hub/simple_index.h"
#include "io/hub/version.h"

using namespace miao::io;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 5) {
    case 0:
    case 1: {
      const auto files =
          parse_index_page(data[0] % 5 ? "text/html" : "application/json", text, "https://h/simple/a/", "a");
      if (files.ok()) (void)choose_file(*files, "", "a");
      return 0;
    }
    case 2:
      (void)parse_ini(text);
      return 0;
    case 3: {
      const auto version = parse_version(text);
      if (version && *version < *version) __builtin_trap();
      return 0;
    }
    default: {
      const auto ref = parse_ref(text);
      if (ref.ok() && ref->kind == ModelRef::Kind::hf && !is_safe_relative(ref->name)) __builtin_trap();
      (void)select_files({std::string(text), "config.json", "m-Q4_0-00001-of-00002.gguf"}, "Q4_0", "x");
      return 0;
    }
  }
}
