#include <ctime>
#include <iostream>
#include <memory>
#include <string>

#include "cli/commands.h"
#include "cli/output.h"
#include "ddro/base/json.h"
#include "ddro/base/utf8.h"
#include "ddro/models/model_path.h"
#include "ddro/text/model_text.h"

namespace ddro::cli {
namespace {

struct TokenizeOptions {
  std::string model;
  bool chat = false;
  bool generation_prompt = false;
};

using LineFunction = std::function<text::Encoding(const std::string& line, const std::string& where)>;

LineFunction chat_encoder(const TokenizeOptions& options, const std::filesystem::path& folder) {
  auto model = std::make_shared<text::ModelText>(text::load_model_text(folder, std::nullopt));
  if (model->chat_template == nullptr) {
    throw model_error("[" + printable(folder.string(), 400) + "] has no chat template; leave out --chat");
  }
  const text::RenderOptions render = {options.generation_prompt, std::time(nullptr),
                                      model->template_variables};
  return [model, render](const std::string& line, const std::string& where) {
    const Json messages = parse_json_exactly(line, where, ErrorKind::kInput);
    if (!messages.is_array())
      throw input_error("[" + where + "] not a list of messages; got " + printable(line, 40));
    return model->tokenizer->encode(model->chat_template->render(messages, render).text);
  };
}

LineFunction text_encoder(const std::filesystem::path& folder) {
  std::shared_ptr<text::Tokenizer> tokenizer = text::load_tokenizer(folder);
  return [tokenizer](const std::string& line, const std::string&) { return tokenizer->encode(line); };
}

void run_tokenize(const TokenizeOptions& options) {
  const std::filesystem::path folder = models::resolve_model_path(options.model);
  const LineFunction encode = options.chat ? chat_encoder(options, folder) : text_encoder(folder);
  std::string line;
  for (int number = 1; std::getline(std::cin, line); ++number) {
    const std::string where = "stdin:" + std::to_string(number);
    const size_t invalid = find_invalid_utf8(line);
    if (invalid != std::string::npos) {
      throw input_error("[" + where + "] not valid UTF-8 at byte " + std::to_string(invalid));
    }
    print_line(Json(encode(line, where).ids).dump());
  }
}

}  // namespace

void add_tokenize_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("tokenize", "Lines on stdin to JSON arrays of token ids, no BOS added");
  auto options = std::make_shared<TokenizeOptions>();
  command->add_option("--model", options->model, "a Hugging Face folder, or org/name in its local cache")
      ->required()
      ->type_name("DIR");
  CLI::Option* chat = command->add_flag("--chat", options->chat,
                                        "each line is a JSON message list, rendered with the chat template");
  command->add_flag("--generation-prompt", options->generation_prompt, "add the template's generation prompt")
      ->needs(chat);
  command->callback([options] { run_tokenize(*options); });
}

}  // namespace ddro::cli
