#include <memory>

#include "ddro/base/json.h"
#include "ddro/text/chat_template.h"
#include "ddro/text/tokenizer.h"
#include "fuzz/targets.h"
#include "support/temporary_folder.h"

namespace ddro::test {
namespace {

constexpr std::string_view kText =
    "Hello <s> world, 12345 \xc3\xa9\xcc\x81 \xe4\xbd\xa0\xe5\xa5\xbd\n\t ...</s>";

void use(const text::Tokenizer& tokenizer, std::string_view text) {
  const auto encoding = tokenizer.encode(text);
  tokenizer.decode(encoding.ids);
  tokenizer.find_control_text(text);
  for (const auto id : encoding.ids) tokenizer.token_of(id);
}

// A folder with `input` as its file NAME.
void read_tokenizer(const char* name, std::string_view input, std::string_view text) {
  const TemporaryFolder folder;
  folder.write(name, input);
  expect_input_errors([&] {
    const auto tokenizer = text::load_tokenizer(folder.path());
    use(*tokenizer, kText);
    use(*tokenizer, text);
  });
}

}  // namespace

void read_json(std::string_view input) {
  expect_input_errors([&] { parse_json_exactly(input, "file.json", ErrorKind::kInput).dump(); });
}

// A tokenizer.json, and a text.
void read_tokenizer_json(std::string_view input) {
  const auto files = cut_into(2, input);
  read_tokenizer("tokenizer.json", files[0], files[1]);
}

void read_tokenizer_model(std::string_view input) { read_tokenizer("tokenizer.model", input, ""); }

// A template, and messages as JSON where there are some.
void render_template(std::string_view input) {
  const auto files = cut_into(2, input);
  expect_input_errors([&] {
    const text::ChatTemplate chat_template(files[0], "chat_template.jinja");
    const std::string_view usual =
        R"([{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes"}])";
    text::RenderOptions options;
    options.add_generation_prompt = true;
    options.variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
    chat_template.render(
        parse_json_exactly(files[1].empty() ? usual : files[1], "messages", ErrorKind::kInput), options);
  });
}

}  // namespace ddro::test
