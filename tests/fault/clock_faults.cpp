// A machine's clock that jumps, for a program into which this is preloaded (LD_PRELOAD). After every
// DDRO_CLOCK_READS readings of the time of day it is DDRO_CLOCK_JUMP seconds ahead, then as much behind, then
// right again. Clocks that only count are left alone.
#include <dlfcn.h>
#include <sys/time.h>

#include <atomic>
#include <cstdlib>
#include <ctime>

namespace {

long setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? 0 : std::atol(value);
}

long offset() {
  static const long every = setting("DDRO_CLOCK_READS"), jump = setting("DDRO_CLOCK_JUMP");
  static std::atomic<long> readings = 0;
  if (every == 0) return 0;
  constexpr long kPlaces[] = {0, 1, -1};
  return jump * kPlaces[readings++ / every % 3];
}

int read_clock(clockid_t clock, timespec* time) {
  static const auto next = reinterpret_cast<int (*)(clockid_t, timespec*)>(dlsym(RTLD_NEXT, "clock_gettime"));
  const int result = next(clock, time);
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) time->tv_sec += offset();
  return result;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) noexcept { return read_clock(clock, time); }

int gettimeofday(timeval* time, void*) noexcept {
  timespec now{};
  const int result = read_clock(CLOCK_REALTIME, &now);
  *time = {now.tv_sec, now.tv_nsec / 1000};
  return result;
}

time_t time(time_t* result) noexcept {
  timespec now{};
  read_clock(CLOCK_REALTIME, &now);
  if (result != nullptr) *result = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
