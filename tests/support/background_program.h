// A program that runs beside the test, to be signalled or killed.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

extern char** environ;

namespace ddro::test {

struct ExitStatus {
  bool timed_out = false;
  int code = -1;   // exit code, -1 when ended by a signal
  int signal = 0;  // the signal that ended it
};

// stdout is discarded, stderr goes to a file. Killed in the destructor when still running.
class BackgroundProgram {
 public:
  // `environment`: further NAME=value entries.
  BackgroundProgram(const std::vector<std::string>& arguments, std::string stderr_path,
                    const std::vector<std::string>& environment = {})
      : stderr_path_(std::move(stderr_path)) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    std::vector<char*> envp;
    for (const std::string& entry : environment) envp.push_back(const_cast<char*>(entry.c_str()));
    for (char** entry = environ; *entry != nullptr; ++entry) envp.push_back(*entry);
    envp.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, stderr_path_.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int error = posix_spawn(&pid_, argv[0], &actions, nullptr, argv.data(), envp.data());
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) throw std::runtime_error("cannot start " + arguments[0]);
  }
  ~BackgroundProgram() {
    if (running_) {
      send(SIGKILL);
      wait(10);
    }
  }
  BackgroundProgram(const BackgroundProgram&) = delete;
  BackgroundProgram& operator=(const BackgroundProgram&) = delete;

  void send(int number) const { kill(pid_, number); }
  pid_t pid() const { return pid_; }

  ExitStatus wait(double timeout_s) {
    ExitStatus result;
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() > end) {
        result.timed_out = true;
        return result;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    running_ = false;
    if (WIFEXITED(status)) result.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
    return result;
  }

  // Waits until a stop signal has halted it; false after the time-out or when it ended.
  bool wait_for_halt(double timeout_s) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
    while (std::chrono::steady_clock::now() < end) {
      siginfo_t info{};
      const int waited =
          waitid(P_PID, static_cast<id_t>(pid_), &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT);
      if (waited == 0 && info.si_pid == pid_) return info.si_code == CLD_STOPPED;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

  // Waits until a signal would end the program, which handled it before; false after the time-out.
  bool wait_until_unhandled(int number, double timeout_s) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
    while (std::chrono::steady_clock::now() < end) {
      std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
      for (std::string line; std::getline(status, line);) {
        if (!line.starts_with("SigCgt:")) continue;
        const unsigned long long handled = std::stoull(line.substr(7), nullptr, 16);
        if ((handled >> (number - 1) & 1) == 0) return true;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

  bool wait_for_file(const std::filesystem::path& path, double timeout_s) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
    while (std::chrono::steady_clock::now() < end) {
      if (std::filesystem::exists(path)) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

  // Waits until stderr holds `text`; false after the time-out or when the program ended without it.
  bool wait_for_output(const std::string& text, double timeout_s) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(timeout_s);
    while (std::chrono::steady_clock::now() < end) {
      const bool ended = has_ended();
      if (output().find(text) != std::string::npos) return true;
      if (ended) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  std::string output() const {
    std::ifstream file(stderr_path_);
    std::ostringstream content;
    content << file.rdbuf();
    return content.str();
  }

 private:
  bool has_ended() const {
    siginfo_t info{};
    return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
           info.si_pid == pid_;
  }

  std::string stderr_path_;
  pid_t pid_ = -1;
  bool running_ = true;
};

}  // namespace ddro::test
