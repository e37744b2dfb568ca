#include "jinja/token_reader.h"

#include <algorithm>

#include "ddro/base/error.h"
#include "jinja/limits.h"

namespace ddro::jinja {
namespace {

std::string describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "text";
    case TokenKind::kVariableBegin:
      return "'{{'";
    case TokenKind::kVariableEnd:
      return "'}}'";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kInteger:
    case TokenKind::kReal:
      return "a number";
    case TokenKind::kEnd:
      return "the end of the template";
    case TokenKind::kName:
    case TokenKind::kOperator:
      break;
  }
  return "'" + printable(token.text, 60) + "'";
}

}  // namespace

TokenReader::Nesting::Nesting(TokenReader& reader) : reader_(reader) {
  if (reader_.nesting_ >= kMaxNesting) {
    reader_.fail(reader_.current().line, "nested deeper than " + std::to_string(kMaxNesting) + " levels");
  }
  ++reader_.nesting_;
}

void TokenReader::fail(int line, const std::string& what) const {
  throw model_error("[" + name_ + ":" + std::to_string(line) + "] " + what);
}

void TokenReader::fail_unexpected(const std::string& expected) const {
  fail(current().line, "unexpected " + describe(current()) + ", expected " + expected);
}

Token TokenReader::take() {
  Token token = current();
  if (token.kind != TokenKind::kEnd) ++position_;
  return token;
}

bool TokenReader::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  ++position_;
  return true;
}

bool TokenReader::skip_operator(std::string_view name) {
  if (!current().is_operator(name)) return false;
  ++position_;
  return true;
}

void TokenReader::expect_operator(std::string_view name) {
  if (!skip_operator(name)) fail_unexpected("'" + std::string(name) + "'");
}

void TokenReader::expect(TokenKind kind, const std::string& what) {
  if (current().kind != kind) fail_unexpected(what);
  take();
}

Token TokenReader::expect_name() {
  if (current().kind != TokenKind::kName) fail_unexpected("a name");
  return take();
}

NameId TokenReader::intern(const std::string& name) {
  const auto [found, inserted] = ids_.try_emplace(name, static_cast<NameId>(names_.size()));
  if (inserted) names_.push_back(name);
  return found->second;
}

void TokenReader::note_load(const std::string& name) {
  for (NameWatch* watch : watches_) watch->loaded.insert(name);
}

}  // namespace ddro::jinja
