// Log lines of miao as records of Python's logger "miao". They come from threads that must not touch Python, so they
// wait until a thread that holds the GIL passes by: at the latest 20 ms later, while a task runs.
#pragma once

namespace miao::python {

void log_to_python();
void flush_log();  // with the GIL

}  // namespace miao::python
