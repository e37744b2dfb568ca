// The program ddro-train: subcommands and exit codes.
#pragma once

namespace ddro::cli {

// Parses the arguments and runs the command they name; returns the exit code. Usage errors are reported here
// (exit code 2); what a command throws passes through.
int run_command_line(int argc, char** argv);

}  // namespace ddro::cli
