#include "cli/row_options.h"

#include "ddro/base/error.h"
#include "ddro/base/json.h"

namespace ddro::cli {
namespace {

std::map<std::string, std::string> parse_columns(const std::vector<std::string>& columns) {
  std::map<std::string, std::string> names;
  for (const std::string& column : columns) {
    const size_t sign = column.find('=');
    if (sign == std::string::npos)
      throw input_error("[--columns] no column; got " + printable(column) + ", expected OURS=THEIRS");
    if (!names.emplace(column.substr(0, sign), column.substr(sign + 1)).second)
      throw input_error("[--columns] " + printable(column.substr(0, sign)) + " is given twice");
  }
  return names;
}

Json parse_kwargs(const std::string& text) {
  Json kwargs = parse_json_exactly(text, "--chat-template-kwargs", ErrorKind::kInput);
  if (!kwargs.is_object())
    throw input_error("[--chat-template-kwargs] got " + printable(text) + ", expected a JSON object");
  return kwargs;
}

}  // namespace

void add_row_options(CLI::App* command, RowArguments& arguments) {
  command
      ->add_option("--layout", arguments.layout,
                   "How rows are laid out, as data.layout names it; auto: recognised row by row")
      ->capture_default_str();
  command
      ->add_option("--columns", arguments.columns,
                   "Our name of a field, and its name in the files; may be repeated")
      ->allow_extra_args(false)
      ->type_name("OURS=THEIRS");
  command
      ->add_option("--chat-template", arguments.chat_template,
                   "File with a Jinja template (default: the model folder's)")
      ->type_name("FILE");
  command
      ->add_option("--chat-template-kwargs", arguments.chat_template_kwargs,
                   "Variables of the template, such as {\"enable_thinking\": false}")
      ->type_name("JSON");
  command->add_flag("--parse-control-tokens", arguments.parse_control_tokens,
                    "Control-token text in a row becomes control tokens");
}

data::DataOptions data_options(const RowArguments& arguments) {
  data::DataOptions options;
  for (const std::string& file : arguments.files) options.train_files.push_back({file});
  options.layout = parse_enum<data::Layout>("--layout", arguments.layout);
  options.columns = parse_columns(arguments.columns);
  options.chat_template = arguments.chat_template;
  options.chat_template_kwargs = parse_kwargs(arguments.chat_template_kwargs);
  options.parse_control_tokens = arguments.parse_control_tokens;
  options.validate();
  return options;
}

}  // namespace ddro::cli
