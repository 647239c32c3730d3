// All of main(), so that tests run what users run.
#pragma once

#include <functional>

namespace miao::cli {

// Signals, parsing, the verb, and whatever is thrown; the exit code.
int run_program(int argc, char** argv);
// The exit code of `body`. What it throws becomes one line: memory that ran out is the user's to mend, everything else
// is an error in miao (exit code 70).
int guarded(const std::function<int()>& body);

}  // namespace miao::cli
