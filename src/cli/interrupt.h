// Ctrl-C and SIGTERM: the first sets a flag that long work polls, the second ends the process at once.
#pragma once

#include <atomic>

namespace miao::cli {

void catch_interrupts();
const std::atomic<bool>& interrupted();
// From now on the first one ends the process, with exit code 130: for work that polls nothing and leaves nothing
// behind. One that came before counts.
void exit_on_interrupt();

}  // namespace miao::cli
