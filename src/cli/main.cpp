// The program; see app.h.
#include "cli/app.h"

int main(int argc, char** argv) { return miao::cli::run_program(argc, argv); }
