#include "run/http_client.h"

#include <curl/curl.h>
#include <dlfcn.h>

#include <array>
#include <stdexcept>
#include <utility>

#include "ddro/base/error.h"

namespace ddro::run {
namespace {

constexpr size_t kMaxAnswerBytes = size_t{1} << 20;
constexpr long kConnectSeconds = 5;
constexpr long kRequestSeconds = 30;

template <typename Function>
void find(void* library, const char* name, Function*& function) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr)
    throw model_error("[logging.report_to] libcurl.so.4 lacks " + std::string(name) + "; install libcurl4");
}

// What is used of the library, which stays loaded.
struct Curl {
  Curl() {
    void* library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      throw model_error(
          "[logging.report_to] mlflow needs libcurl.so.4, which cannot be loaded; install Debian's libcurl4");
    }
    decltype(curl_global_init)* global_init = nullptr;
    find(library, "curl_global_init", global_init);
    find(library, "curl_easy_init", easy_init);
    find(library, "curl_easy_reset", easy_reset);
    find(library, "curl_easy_setopt", easy_setopt);
    find(library, "curl_easy_perform", easy_perform);
    find(library, "curl_easy_getinfo", easy_getinfo);
    find(library, "curl_easy_escape", easy_escape);
    find(library, "curl_easy_strerror", easy_strerror);
    find(library, "curl_easy_cleanup", easy_cleanup);
    find(library, "curl_slist_append", slist_append);
    find(library, "curl_slist_free_all", slist_free_all);
    find(library, "curl_free", free);
    if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      throw model_error("[logging.report_to] libcurl cannot be initialised");
  }

  decltype(curl_easy_init)* easy_init = nullptr;
  decltype(curl_easy_reset)* easy_reset = nullptr;
  decltype(curl_easy_setopt)* easy_setopt = nullptr;
  decltype(curl_easy_perform)* easy_perform = nullptr;
  decltype(curl_easy_getinfo)* easy_getinfo = nullptr;
  decltype(curl_easy_escape)* easy_escape = nullptr;
  decltype(curl_easy_strerror)* easy_strerror = nullptr;
  decltype(curl_easy_cleanup)* easy_cleanup = nullptr;
  decltype(curl_slist_append)* slist_append = nullptr;
  decltype(curl_slist_free_all)* slist_free_all = nullptr;
  decltype(curl_free)* free = nullptr;
};

const Curl& curl() {
  static const Curl library;
  return library;
}

size_t take(const char* bytes, size_t size, size_t count, void* answer) {
  std::string& body = static_cast<HttpAnswer*>(answer)->body;
  if (body.size() + size * count > kMaxAnswerBytes) return 0;  // ends the request
  body.append(bytes, size * count);
  return size * count;
}

int look(void* gives_up, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return (*static_cast<std::function<bool()>*>(gives_up))() ? 1 : 0;
}

}  // namespace

void require_http() { curl(); }

struct HttpClient::Handle {
  Handle(HttpLogin login_, std::function<bool()> gives_up_)
      : login(std::move(login_)), gives_up(std::move(gives_up_)), easy(curl().easy_init()) {
    if (easy == nullptr) throw model_error("[logging.report_to] libcurl gives no handle");
    headers = curl().slist_append(nullptr, "Content-Type: application/json");
    if (!login.token.empty())
      headers = curl().slist_append(headers, ("Authorization: Bearer " + login.token).c_str());
  }
  ~Handle() {
    curl().slist_free_all(headers);
    curl().easy_cleanup(easy);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  template <typename Value>
  void set(CURLoption option, Value value) {
    curl().easy_setopt(easy, option, value);
  }

  HttpLogin login;
  std::function<bool()> gives_up;
  CURL* easy;
  curl_slist* headers = nullptr;
};

HttpClient::HttpClient(HttpLogin login, std::function<bool()> gives_up)
    : handle_(std::make_unique<Handle>(std::move(login), std::move(gives_up))) {}

HttpClient::~HttpClient() = default;

HttpAnswer HttpClient::post(const std::string& url, const std::string& json) {
  curl().easy_reset(handle_->easy);
  handle_->set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(json.size()));
  handle_->set(CURLOPT_COPYPOSTFIELDS, json.c_str());
  return perform(url);
}

HttpAnswer HttpClient::get(const std::string& url) {
  curl().easy_reset(handle_->easy);
  return perform(url);
}

HttpAnswer HttpClient::perform(const std::string& url) {
  HttpAnswer answer;
  std::array<char, CURL_ERROR_SIZE> why{};
  Handle& handle = *handle_;
  handle.set(CURLOPT_URL, url.c_str());
  handle.set(CURLOPT_HTTPHEADER, handle.headers);
  if (!handle.login.username.empty()) {
    handle.set(CURLOPT_USERNAME, handle.login.username.c_str());
    handle.set(CURLOPT_PASSWORD, handle.login.password.c_str());
  }
  handle.set(CURLOPT_NOSIGNAL, 1L);
  handle.set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  handle.set(CURLOPT_TIMEOUT, kRequestSeconds);
  handle.set(CURLOPT_WRITEFUNCTION, &take);
  handle.set(CURLOPT_WRITEDATA, static_cast<void*>(&answer));
  handle.set(CURLOPT_NOPROGRESS, 0L);
  handle.set(CURLOPT_XFERINFOFUNCTION, &look);
  handle.set(CURLOPT_XFERINFODATA, static_cast<void*>(&handle.gives_up));
  handle.set(CURLOPT_ERRORBUFFER, why.data());
  const CURLcode code = curl().easy_perform(handle.easy);
  if (code != CURLE_OK) throw std::runtime_error(why[0] != '\0' ? why.data() : curl().easy_strerror(code));
  curl().easy_getinfo(handle.easy, CURLINFO_RESPONSE_CODE, &answer.status);
  return answer;
}

std::string HttpClient::escaped(const std::string& text) {
  char* copy = curl().easy_escape(handle_->easy, text.data(), static_cast<int>(text.size()));
  const std::string result = copy == nullptr ? "" : copy;
  curl().free(copy);
  return result;
}

}  // namespace ddro::run
