// The one exception type of the project, and the check for our own bugs.
#pragma once

#include <stdexcept>
#include <string>

namespace ddro {

// What went wrong, as far as a caller of the command line has to tell cases apart. The values are the exit
// codes.
enum class ErrorKind {
  kInput = 2,         // bad configuration, data or usage; nothing was written
  kModel = 3,         // a model, tokenizer or checkpoint is refused: corrupt, mismatched, unsafe
  kInterrupted = 75,  // stopped by a signal or before the time limit; the checkpoint is verified
  kLost = 76,         // another rank of the run is gone or silent; the last checkpoint is valid
  kNonFinite = 77,    // the non-finite policy gave up
  kSave = 78,         // could not save
  kInternal = 70,     // a bug of ours
};

// Message form: "[where] what; got X, expected Y; hint", with file:line for data and the dotted key for
// configuration. One line: control characters of quoted input are escaped by `printable`.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }
  int exit_code() const { return static_cast<int>(kind_); }

 private:
  ErrorKind kind_;
};

inline Error input_error(const std::string& message) { return {ErrorKind::kInput, message}; }
inline Error model_error(const std::string& message) { return {ErrorKind::kModel, message}; }
inline Error save_error(const std::string& message) { return {ErrorKind::kSave, message}; }

// `text` fit for one line of an error message: control characters escaped, invalid UTF-8 as \xNN, cut after
// `max_bytes` with an ellipsis.
std::string printable(const std::string& text, size_t max_bytes = 120);

// The shortest decimal that reads back as `number`.
std::string printable(double number);

// `number` through one printf conversion; "nan" for what is not a number, whatever its sign.
std::string printable(double number, const char* format);

// Error(kInput) for an option out of its range: "[key] is out of range; got X, expected Y".
Error option_error(const std::string& key, const std::string& got, const std::string& expected);

[[noreturn]] void check_failed(const char* expression, const char* file, int line,
                               const std::string& message);

}  // namespace ddro

// For our own bugs only; what a user can cause throws Error directly.
#define DDRO_CHECK(condition, message)                                                 \
  do {                                                                                 \
    if (!(condition)) ::ddro::check_failed(#condition, __FILE__, __LINE__, (message)); \
  } while (false)
