// The only catch-all: each kind of failure becomes one line on standard error and an exit code.
#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "cli/output.h"
#include "ddro/base/error.h"
#include "ddro/base/heap.h"
#include "ddro/base/log.h"
#include "ddro/base/threads.h"
#include "ddro/cli/command_line.h"
#include "ddro/dist/rank.h"
#include "ddro/ops/tensor_memory.h"
#include "ddro/run/version.h"

namespace {

constexpr int kInternal = static_cast<int>(ddro::ErrorKind::kInternal);
constexpr int kOutputClosed = 128 + SIGPIPE;  // as if the signal had ended the program
constexpr const char* kOutOfMemory = "out of memory; a smaller train.micro_batch_tokens needs less";

int report(const std::string& message, int exit_code) {
  std::fprintf(stderr, "ddro-train: error: %s%s\n", ddro::log_prefix().c_str(),
               ddro::printable(message, 4000).c_str());
  return exit_code;
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

int report(const c10::Error& error) {
  const std::string line = first_line(error.what_without_backtrace());
  const bool memory = line.find("DefaultCPUAllocator") != std::string::npos;
  return report(memory ? kOutOfMemory + std::string(" (") + line + ")" : "[LibTorch] " + line, kInternal);
}

}  // namespace

int main(int argc, char** argv) {
  ddro::keep_freed_memory();
  ddro::ops::keep_tensors_in_blocks();
  // Writing to a reader that has gone, or past a limit of file size, is an error of that write, not of the
  // program.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    ddro::run::require_libtorch(ddro::run::loaded_libtorch(), ddro::run::built_libtorch());
    at::set_num_threads(ddro::plan_threads().count);
    return ddro::cli::run_command_line(argc, argv);
  } catch (const ddro::Error& error) {
    return report(error.what(), error.exit_code());
  } catch (const ddro::dist::EndedByOther& ended) {
    return ended.exit_code;
  } catch (const ddro::cli::OutputClosed&) {
    return kOutputClosed;
  } catch (const c10::OutOfMemoryError& error) {
    return report(kOutOfMemory + std::string(" (") + first_line(error.what_without_backtrace()) + ")",
                  kInternal);
  } catch (const c10::Error& error) {
    return report(error);
  } catch (const std::bad_alloc&) {
    return report(kOutOfMemory, kInternal);
  } catch (const std::exception& error) {
    return report(std::string("[internal] ") + error.what(), kInternal);
  }
}
