#include "ddro/jinja/template.h"

#include <algorithm>
#include <map>

#include "ddro/base/error.h"
#include "ddro/base/utf8.h"
#include "jinja/interpreter.h"
#include "jinja/json_reader.h"
#include "jinja/parser.h"

namespace ddro::jinja {

struct Template::Compiled {
  std::string source;
  Program program;
};

Template::Template(std::string_view source, std::string name) : compiled_(std::make_unique<Compiled>()) {
  if (const size_t invalid = find_invalid_utf8(source); invalid != std::string_view::npos) {
    throw model_error("[" + name + "] not valid UTF-8 at byte " + std::to_string(invalid));
  }
  compiled_->source = source;
  compiled_->program = parse(source, name);
}

Template::~Template() = default;
Template::Template(Template&&) noexcept = default;

RenderedText Template::render(const std::vector<Variable>& variables, std::time_t now) const {
  Interpreter interpreter(compiled_->program, now);
  std::map<std::string, Value> values;
  for (const Variable& variable : variables) values[variable.name] = read_json(interpreter, variable);
  MarkedText out = interpreter.run(values);
  return {std::move(out.text), std::move(out.marks)};
}

const std::string& Template::source() const { return compiled_->source; }

const std::string& Template::name() const { return compiled_->program.name; }

bool Template::mentions(std::string_view name) const {
  const std::vector<std::string>& names = compiled_->program.names;
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace ddro::jinja
