// Expectations about ddro::Error.
#pragma once

#include <gmock/gmock.h>

#include <functional>
#include <string>

#include "ddro/base/error.h"

namespace ddro::test {

// The message of the ddro::Error that `action` throws, whose kind must be `kind`; fails the test otherwise.
inline std::string message_of(ErrorKind kind, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), kind) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  } catch (const std::exception& error) {
    ADD_FAILURE() << "another exception: " << error.what();
    return {};
  }
  ADD_FAILURE() << "no error";
  return {};
}

}  // namespace ddro::test
