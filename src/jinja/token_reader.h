// What the two halves of the parser share: the tokens, errors, names and the limit on nesting.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "jinja/lexer.h"
#include "jinja/syntax.h"

namespace ddro::jinja {

class TokenReader {
 public:
  TokenReader(std::string_view source, std::string name)
      : name_(std::move(name)), tokens_(tokenize(source, name_)) {}

 protected:
  // Counts one level of nesting for as long as it lives.
  class Nesting {
   public:
    explicit Nesting(TokenReader& reader);
    ~Nesting() { --reader_.nesting_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    TokenReader& reader_;
  };

  [[noreturn]] void fail(int line, const std::string& what) const;
  [[noreturn]] void fail_unexpected(const std::string& expected) const;

  const Token& current() const { return tokens_[position_]; }
  const Token& next_token() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  Token take();
  bool skip_name(std::string_view name);
  bool skip_operator(std::string_view name);
  void expect_operator(std::string_view name);
  void expect(TokenKind kind, const std::string& what);
  Token expect_name();

  NameId intern(const std::string& name);
  // Notes that `name` is read; see NameWatch.
  void note_load(const std::string& name);

  // The names that are read while it lives.
  struct NameWatch {
    explicit NameWatch(TokenReader& reader) : reader_(reader) { reader_.watches_.push_back(this); }
    ~NameWatch() { std::erase(reader_.watches_, this); }
    NameWatch(const NameWatch&) = delete;
    NameWatch& operator=(const NameWatch&) = delete;
    std::set<std::string> loaded;

   private:
    TokenReader& reader_;
  };

  std::string name_;
  std::vector<std::string> names_;

 private:
  std::vector<Token> tokens_;
  size_t position_ = 0;
  int nesting_ = 0;
  std::unordered_map<std::string, NameId> ids_;
  std::vector<NameWatch*> watches_;
};

}  // namespace ddro::jinja
