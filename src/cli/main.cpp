// The program: parse, run, and the one place that catches what must never be thrown.
#include <signal.h>

#include <cstdio>
#include <new>

#include "base/check.h"
#include "cli/app.h"
#include "cli/interrupt.h"

int main(int argc, char** argv) {
  using namespace miao::cli;
  signal(SIGPIPE, SIG_IGN);  // sockets; standard output ends the process itself, see output.h
  catch_interrupts();
  try {
    Program program;
    try {
      program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return program.explain(error);
    }
    return program.run();
  } catch (const miao::Bug& bug) {
    std::fprintf(stderr, "miao: bug: %s; please report it with the command line\n", bug.what());
    return kBug;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "miao: error: out of memory; free some or use a smaller model or context\n");
    return kFailed;
  }
}
