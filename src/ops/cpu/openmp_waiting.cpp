// How LibTorch's OpenMP threads wait for each other, where the user's variables do not say it
// (ddro/base/threads.h).
//
// GNU's OpenMP runtime, which comes with LibTorch, asks for GOMP_SPINCOUNT in a constructor of its own, long
// before main could set it. It asks by getenv, whose symbol is exported, so this definition in the program
// comes before the C library's.
#include <unistd.h>

#include <cstring>

namespace {

// Some ten microseconds, what a wake-up costs; the runtime's own default is a thousand times as long.
char spin_count[] = "300";

char* find(const char* name) {
  const size_t length = std::strlen(name);
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (std::strncmp(*entry, name, length) == 0 && (*entry)[length] == '=') return *entry + length + 1;
  }
  return nullptr;
}

}  // namespace

extern "C" __attribute__((visibility("default"), used)) char* getenv(const char* name) noexcept {
  if (char* value = find(name)) return value;
  const bool waiting_is_open = std::strcmp(name, "GOMP_SPINCOUNT") == 0 && find("OMP_WAIT_POLICY") == nullptr;
  return waiting_is_open ? spin_count : nullptr;
}
