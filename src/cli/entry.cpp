// The one place of the program that catches.
#include "cli/entry.h"

#include <fmt/format.h>
#include <signal.h>

#include <new>

#include "cli/app.h"
#include "cli/interrupt.h"
#include "cli/terminal.h"

namespace miao::cli {

namespace {

// Says where to look first: a Bug names its line, other exceptions what went wrong.
int report_bug(std::string_view what) {
  fmt::print(stderr, "miao: bug: {}; please report it with the command line\n", printable(what));
  return kBug;
}

}  // namespace

int guarded(const std::function<int()>& body) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    print_error({Code::out_of_memory, "out of memory; free some or use a smaller model or context", {}});
    return kFailed;
  } catch (const std::exception& error) {
    return report_bug(error.what());
  } catch (...) {
    return report_bug("an exception of no known type");
  }
}

int run_program(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);  // sockets; standard output ends the process itself, see output.h
  ::signal(SIGXFSZ, SIG_IGN);  // a file beyond ulimit -f is an Error of the write
  catch_interrupts();
  return guarded([&] {
    Program program;
    try {
      program.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return program.explain(error);
    }
    return program.run();
  });
}

}  // namespace miao::cli
