// HTTP requests by libcurl, which is loaded by the first client: a machine without it runs everything else.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace ddro::run {

// Error(kModel) where libcurl cannot be loaded.
void require_http();

struct HttpLogin {
  std::string username;
  std::string password;
  std::string token;  // in place of both
};

struct HttpAnswer {
  long status = 0;
  std::string body;
};

// Of one thread at a time.
class HttpClient {
 public:
  // `gives_up`: asked about once a second while a request waits; true ends it. Error(kModel) without libcurl.
  HttpClient(HttpLogin login, std::function<bool()> gives_up);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // A POST of JSON, or a GET. std::runtime_error that says why there is no answer: none within half a minute,
  // or one of more than a mebibyte.
  HttpAnswer post(const std::string& url, const std::string& json);
  HttpAnswer get(const std::string& url);

  // As a URL's query has it.
  std::string escaped(const std::string& text);

 private:
  struct Handle;
  HttpAnswer perform(const std::string& url);

  std::unique_ptr<Handle> handle_;
};

}  // namespace ddro::run
