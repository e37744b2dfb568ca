// Data rows that cannot be used: each ends the run, by default, with the file and the line.
#include <sys/stat.h>

#include <stdexcept>

#include "bad_input.h"
#include "ddro/base/files.h"

namespace ddro::test {
namespace {

// The row stands on line 57, behind those of the tiny data.
BadInput row(const char* name, const std::string& text, const char* phrase) {
  return {name, 2, phrase, [text](Scene& scene) { return scene.add_row(text).train(); }};
}

BadInput file(const char* name, const std::string& content, const char* phrase,
              const char* override = nullptr) {
  return {name, 2, phrase, [content, override](Scene& scene) {
            scene.write("train.jsonl", content);
            return override != nullptr ? scene.train_with(override) : scene.train();
          }};
}

BadInput other_file(const char* name, const std::string& path, const std::string& content,
                    const char* phrase) {
  return {name, 2, phrase, [path, content](Scene& scene) {
            return scene.write(path, content).train_with("data.train_files=['@/" + path + "']");
          }};
}

// One of tests/fixtures/make_parquet.py.
BadInput parquet(const char* name, const std::string& file, const std::string& phrase) {
  return {name, 2, "[data] @/rows.parquet: " + phrase, [file](Scene& scene) {
            const std::string content = read_file(fixture("parquet/" + file + ".parquet"));
            return scene.write("rows.parquet", "")
                .change_bytes("rows.parquet", [&](std::string& bytes) { bytes = content; })
                .train_with("data.train_files=['@/rows.parquet']");
          }};
}

// One side of a pair of strings.
std::string pair_with(const std::string& chosen) {
  return R"({"prompt": "Q:", "chosen": )" + chosen + R"(, "rejected": " no"})";
}

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// One line of prompts that would be sampled.
BadInput prompt(const char* name, const std::string& line, const char* phrase) {
  return {name, 2, phrase, [line](Scene& scene) {
            return scene.write("prompts.jsonl", line).train_with("eval.prompts=@/prompts.jsonl");
          }};
}

// Any row's rendering takes all steps that a template may take.
Arguments with_slow_template(Scene& scene) {
  return scene
      .write("model/chat_template.jinja",
             "{% for a in range(90000) %}{% for b in range(90000) %}x{% endfor %}{% endfor %}")
      .train();
}

std::vector<BadInput> cases() {
  return {
      row("NotJson", "{\"prompt\": \"Q:\"", "[data] @/train.jsonl:57: not valid JSON"),
      row("TrailingComma", R"({"prompt": "Q:", "chosen": "a", "rejected": "b",})",
          "train.jsonl:57: not valid JSON"),
      row("Latin1", pair_with("\"caf\xe9\""), "train.jsonl:57: not valid UTF-8"),
      row("OverlongUtf8", pair_with("\"\xc0\xaf\""), "train.jsonl:57: not valid UTF-8"),
      row("LoneSurrogate", pair_with(R"("\ud800")"), "train.jsonl:57: not valid JSON"),
      row("ZeroByte", pair_with(std::string("\"a\0b\"", 5)), "train.jsonl:57: not valid JSON: a zero byte"),
      row("DuplicateKey", R"({"prompt": "Q:", "chosen": "a", "chosen": "b", "rejected": "c"})",
          "train.jsonl:57: the key \"chosen\" occurs twice"),
      row("DeepNesting", pair_with(std::string(100000, '[')), "train.jsonl:57: nested deeper than"),
      row("NumberTooLarge", R"({"prompt": "Q:", "chosen": "a", "rejected": "b", "weight": 1e400})",
          "train.jsonl:57: the number 1e400 is too large"),
      row("WeightOfZero", R"({"prompt": "Q:", "chosen": "a", "rejected": "b", "weight": 0})",
          "train.jsonl:57: \"weight\" is no weight; got the number 0"),
      row("WeightIsText", R"({"prompt": "Q:", "chosen": "a", "rejected": "b", "weight": "2"})",
          "\"weight\" is no weight; got the string"),
      row("ArrayRow", R"([1, 2])", "train.jsonl:57: a row is a JSON object; got a list"),
      row("NumberRow", "17", "train.jsonl:57: a row is a JSON object; got the number 17"),
      row("NoKind", R"({"text": "a"})", "train.jsonl:57: neither a paired nor an unpaired row"),
      row("BothKinds", R"({"prompt": "Q:", "chosen": "a", "rejected": "b", "label": true})",
          "train.jsonl:57: \"chosen\" belongs to paired rows"),
      row("MixedKinds", R"({"prompt": "Q:", "completion": "a", "label": true})",
          "train.jsonl:57: an unpaired row among paired ones (@/train.jsonl:1)"),
      row("ChosenMissing", R"({"prompt": "Q:", "rejected": "b"})", "train.jsonl:57: \"chosen\" is missing"),
      row("PromptMissing", R"({"chosen": "a", "rejected": "b"})", "train.jsonl:57: \"prompt\" is missing"),
      row("EmptyCompletion", pair_with("\"\""), "train.jsonl:57: \"chosen\" is empty"),
      row("NumberForText", pair_with("3"), "train.jsonl:57: \"chosen\" is no text; got the number 3"),
      row("NullForText", pair_with("null"), "train.jsonl:57: \"chosen\" is missing"),
      row("TextAndMessages", pair_with(R"([{"role": "assistant", "content": "a"}])"),
          "train.jsonl:57: \"rejected\" is a string but \"chosen\" a list of messages"),
      row("MessageWithoutRole", R"({"prompt": [{"content": "a"}], "chosen": "a", "rejected": "b"})",
          "\"prompt\" message 1 has no \"role\""),
      row("UserAnswers",
          R"({"prompt": [{"role": "user", "content": "a"}], "chosen": [{"role": "user", "content": "a"}], "rejected": [{"role": "assistant", "content": "b"}]})",
          "\"chosen\" begins with a message of the user, expected one of the assistant"),
      row("ImagePart",
          R"({"prompt": [{"role": "user", "content": [{"type": "image", "image": "x"}]}], "chosen": "a", "rejected": "b"})",
          "train.jsonl:57: \"prompt\" message 1: \"content\" has a part of type \"image\""),
      row("ConversationWithoutAnswer", R"({"conversations": [{"from": "human", "value": "a"}], "label": 1})",
          "train.jsonl:57: \"conversations\" does not end with a message of the assistant"),
      row("QuestionOfAnotherRow",
          R"({"prompt": "Q:", "chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "a"}], "rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})",
          "train.jsonl:57: \"prompt\" is a string that is no user's message of \"chosen\""),
      {"LayoutOfOtherRows", 2, "train.jsonl:1: \"instruction\" is missing; data.layout is alpaca",
       [](Scene& scene) { return scene.train_with("data.layout=alpaca"); }},
      row("EmptyPromptString", R"({"prompt": "", "chosen": "a", "rejected": "b"})",
          "train.jsonl:57: \"chosen\": no token stands before the completion"),
      row("OverLong", pair_with("\"" + repeated("long ", 500) + "\""),
          "more than data.max_length 128; 1 of 57 rows do not fit"),
      row("TerminalEscapes", "\"\\u001b[2J\x07", "train.jsonl:57: not valid JSON"),
      row("CutOffLastLine", std::string(R"({"prompt": "Q:", "chosen": "a)"),
          "train.jsonl:57: not valid JSON"),
      file("HugeLine", pair_with("\"" + std::string(5 << 20, 'a') + "\""), "train.jsonl:1: "),
      file("Empty", "", "[data] @/train.jsonl: no rows"),
      file("BlankLines", "\n \n\t\n", "[data] @/train.jsonl: no rows"),
      file("NothingLeft", "{}\n[]\n", "no usable row among 2; the first, @/train.jsonl:1",
           "data.on_bad_row=drop"),
      file("LabelIsText", R"({"prompt": "Q:", "completion": "a", "label": "good"})",
           "train.jsonl:1: \"label\" is not a boolean; got the string \"good\""),
      file("LabelMissing", R"({"prompt": "Q:", "completion": "a"})", "train.jsonl:1: \"label\" is missing"),
      file("CompletionIsNull", R"({"prompt": "Q:", "completion": null, "label": true})",
           "train.jsonl:1: \"completion\" is missing"),
      file("PromptAloneTooLong",
           R"({"prompt": ")" + repeated("long ", 500) + R"(", "chosen": " a", "rejected": " b"})",
           "leaves the completion no room", "data.on_overlength=truncate"),
      file("BinaryFile", std::string("\x1f\x8b\x08\0\0\0\0\0", 8) + std::string(5000, '\xff'),
           "train.jsonl:1: not valid"),
      other_file("CutOffGzip", "rows.jsonl.gz", std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10),
                 "[data] @/rows.jsonl.gz: the gzip data are cut off"),
      other_file("NoGzip", "rows.jsonl.gz", pair_with("\" yes\""),
                 "[data] @/rows.jsonl.gz: the gzip data are damaged; "),
      other_file("NoZstd", "rows.json.zst", "[]", "[data] @/rows.json.zst: the zstd data are "),
      other_file("CutOffList", "rows.json", "[" + pair_with("\" yes\"") + ",\n{\"prompt\": \"Q:\"",
                 "[data] @/rows.json: row 2: the file ends within its list"),
      other_file("ListOfStrings", "rows.json", "[" + pair_with("\" yes\"") + ", \"no\"]",
                 "[data] @/rows.json: row 2: a row is a JSON object; got the string \"no\""),
      other_file("TextBehindTheList", "rows.json",
                 "[" + pair_with("\" yes\"") + "]\n" + pair_with("\" yes\""),
                 "[data] @/rows.json: row 1: there is text behind the end of the file's list"),
      other_file("NoParquet", "rows.parquet", pair_with("\" yes\""),
                 "[data] @/rows.parquet: the Parquet data are damaged, cut off or encrypted; "),
      other_file("EmptyParquet", "rows.parquet", "",
                 "[data] @/rows.parquet: the Parquet data are damaged, cut off or encrypted; "),
      parquet("CutParquet", "cut", "the Parquet data are damaged, cut off or encrypted; "),
      parquet("LyingParquet", "lying", "the Parquet data are damaged, cut off or encrypted"),
      parquet("EncryptedParquet", "encrypted", "the Parquet data are damaged, cut off or encrypted; "),
      parquet("ParquetOfDates", "date_label", "the column \"label\" is of type date32[day]; expected text"),
      parquet("ParquetWithoutColumns", "no_columns", "no rows"),
      parquet("ParquetOfOtherColumns", "other_columns", "row 1: neither a paired nor an unpaired row"),
      parquet("ParquetOfWrongMessages", "wrong_messages", "row 2: "),
      parquet("ParquetWithAColumnTwice", "column_twice", "two columns are named \"prompt\""),
      other_file("EmptyList", "rows.json", "[ ]\n", "[data] @/rows.json: no rows"),
      other_file("Spreadsheet", "rows.csv", "prompt,chosen,rejected\n",
                 "[data] @/rows.csv: .csv files are not read"),
      {"NotInTheFirstFile", 2, "more.jsonl:2: not valid JSON",
       [](Scene& scene) {
         return scene.write("more.jsonl", pair_with("\" yes\"") + "\nnonsense\n")
             .train_with("data.train_files=['@/train.jsonl', '@/more.jsonl']");
       }},
      {"InTheEvalFile", 2, "[data] @/eval.jsonl:1: not valid JSON",
       [](Scene& scene) { return scene.write("eval.jsonl", "nonsense\n").train(); }},
      prompt("PromptIsNoJson", "{\"prompt\": \"a\"}\nnonsense\n", "[data] @/prompts.jsonl:2: not valid JSON"),
      prompt("PromptOfAnotherName", R"({"text": "a"})", "prompts.jsonl:1: \"prompt\" is missing"),
      prompt("PromptLeavesNoRoom", R"({"prompt": ")" + std::string(300, '~') + R"("})",
             "[data] @/prompts.jsonl:1: 300 tokens, which leaves a completion no room; the model has 256 "
             "positions"),
      prompt("NoPrompts", "\n", "[data] @/prompts.jsonl: holds no prompts"),
      {"NamedPipe", 2, "[data] @/pipe.jsonl: is not a regular file",
       [](Scene& scene) {
         if (mkfifo(scene.path("pipe.jsonl").c_str(), 0600) != 0) throw std::runtime_error("no named pipe");
         return scene.train_with("data.train_files=['@/pipe.jsonl']");
       }},
      {"EndlessDevice", 2, "[data] /dev/zero: is not a regular file",
       [](Scene& scene) { return scene.train_with("data.train_files=[/dev/zero]"); }},
      // Half a second or so; up to four times as much where other work has the core's other half.
      {.name = "SlowTemplate",
       .phrase = "the template takes more than 5000000 steps",
       .arrange = with_slow_template,
       .cpu_seconds = 3},
      {"DryRunToo", 2, "train.jsonl:57: not valid JSON",
       [](Scene& scene) { return scene.add_row("nonsense").train({"--dry-run"}); }},
  };
}

}  // namespace

DDRO_BAD_INPUTS(Row, cases());

}  // namespace ddro::test
