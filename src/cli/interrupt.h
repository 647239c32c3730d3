// Ctrl-C and SIGTERM: the first sets a flag that long work polls, the second ends the process at once.
#pragma once

#include <atomic>

namespace miao::cli {

void catch_interrupts();
const std::atomic<bool>& interrupted();

}  // namespace miao::cli
