// The program.
#include "cli/entry.h"

int main(int argc, char** argv) { return miao::cli::run_program(argc, argv); }
