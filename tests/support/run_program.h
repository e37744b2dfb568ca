// Runs a program as a user does and returns all that it left.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace ddro::test {

struct ProgramResult {
  int exit_code = -1;  // 128 + signal when a signal ended it, as shells say it
  std::string out;
  std::string err;
  double seconds = 0;
  double cpu_seconds = 0;  // of all its threads
  double peak_gigabytes = 0;
};

namespace internal {

// Feeds `input` and collects both outputs until the program has closed them.
inline void exchange(int to_program, const std::string& input, int out, int err, ProgramResult& result) {
  size_t sent = 0;
  std::array<pollfd, 3> fds = {{{to_program, POLLOUT, 0}, {out, POLLIN, 0}, {err, POLLIN, 0}}};
  std::array<std::string*, 3> texts = {nullptr, &result.out, &result.err};
  const auto finish = [](pollfd& fd) {
    close(fd.fd);
    fd.fd = -1;
  };
  if (input.empty()) finish(fds[0]);
  while (fds[0].fd >= 0 || fds[1].fd >= 0 || fds[2].fd >= 0) {
    if (poll(fds.data(), fds.size(), -1) < 0) throw std::runtime_error("poll failed");
    if (fds[0].fd >= 0 && fds[0].revents != 0) {
      const ssize_t wrote = write(fds[0].fd, input.data() + sent, input.size() - sent);
      sent += wrote > 0 ? static_cast<size_t>(wrote) : 0;
      if (wrote < 0 || sent == input.size()) finish(fds[0]);
    }
    for (size_t i = 1; i < fds.size(); ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      std::array<char, 65536> buffer;
      const ssize_t got = read(fds[i].fd, buffer.data(), buffer.size());
      if (got > 0) {
        texts[i]->append(buffer.data(), static_cast<size_t>(got));
      } else {
        finish(fds[i]);
      }
    }
  }
}

}  // namespace internal

// `command[0]` is looked up in PATH; `input` is its standard input.
inline ProgramResult run_program(const std::vector<std::string>& command, const std::string& input = "") {
  std::signal(SIGPIPE, SIG_IGN);  // a program that does not read its input
  std::array<int, 2> in{};
  std::array<int, 2> out{};
  std::array<int, 2> err{};
  if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0 ||
      pipe2(err.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipes");
  }
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGPIPE, SIG_DFL);
    dup2(in[0], 0);
    dup2(out[1], 1);
    dup2(err[1], 2);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(err[1]);
  ProgramResult result;
  internal::exchange(in[1], input, out[0], err[0], result);
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  const auto seconds_of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  result.cpu_seconds = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
  result.peak_gigabytes = 1e-9 * 1024 * static_cast<double>(usage.ru_maxrss);
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

// The value of an environment variable that the build sets for every test.
inline std::string test_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0')
    throw std::runtime_error(std::string(name) + " is not set; run tests with ctest");
  return value;
}

// ddro-train with these arguments.
inline ProgramResult ddro_train(std::vector<std::string> arguments, const std::string& input = "") {
  arguments.insert(arguments.begin(), test_environment("DDRO_TRAIN"));
  return run_program(arguments, input);
}

}  // namespace ddro::test
