// Model folders, tokenizers and chat templates that are refused.
#include "bad_input.h"
#include "ddro/base/files.h"

namespace ddro::test {
namespace {

constexpr const char* kWeights = "model/model.safetensors";
constexpr const char* kQuery = "model.layers.0.self_attn.q_proj.weight";
constexpr const char* kNorm = "model.norm.weight";

BadInput json(const char* name, const char* file, const std::function<void(Json&)>& change,
              const char* phrase) {
  return {name, 3, phrase, [=](Scene& scene) { return scene.change_json(file, change).train(); }};
}

BadInput config(const char* name, const char* key, const Json& value, const char* phrase) {
  return json(
      name, "model/config.json", [=](Json& config) { config[key] = value; }, phrase);
}

BadInput header(const char* name, const std::function<void(Json&)>& change, const char* phrase) {
  return {name, 3, phrase, [=](Scene& scene) { return scene.change_header(kWeights, change).train(); }};
}

BadInput bytes(const char* name, const char* file, const std::function<void(std::string&)>& change,
               const char* phrase) {
  return {name, 3, phrase, [=](Scene& scene) { return scene.change_bytes(file, change).train(); }};
}

BadInput chat_template(const char* name, const std::string& source, const char* phrase, int exit_code = 3) {
  return {name, exit_code, phrase,
          [source](Scene& scene) { return scene.write("model/chat_template.jinja", source).train(); }};
}

BadInput without(const char* name, const char* file, const char* phrase) {
  return {name, 3, phrase, [file](Scene& scene) { return scene.remove(file).train(); }};
}

// An index that says that all tensors are in `shard`.
Arguments with_index(Scene& scene, const std::string& shard) {
  return scene.remove(kWeights)
      .write("model/model.safetensors.index.json",
             Json{{"metadata", Json::object()}, {"weight_map", {{kNorm, shard}}}}.dump())
      .train();
}

void rename_key(Json& object, const char* from, const char* to) {
  object[to] = object[from];
  object.erase(from);
}

std::vector<BadInput> config_cases() {
  return {
      config("UnknownArchitecture", "model_type", "bert",
             "config.json] model_type \"bert\" is not supported"),
      config("ArchitectureIsANumber", "model_type", 7, "config.json] model_type is not a string; got 7"),
      config("WidthOfZero", "hidden_size", 0, "config.json] hidden_size is out of range; got 0"),
      config("NegativeLayers", "num_hidden_layers", -1, "num_hidden_layers is out of range; got -1"),
      config("LayersPast64Bits", "num_hidden_layers", 18446744073709551615ull,
             "num_hidden_layers is out of range"),
      config("HugeWidth", "hidden_size", 16777216, "tensor model.embed_tokens.weight has the wrong shape"),
      config("WidthIsText", "hidden_size", "32", "hidden_size is out of range; got \"32\""),
      config("HeadsDoNotDivide", "num_key_value_heads", 3,
             "num_key_value_heads must divide num_attention_heads; got 3 and 4"),
      config("OddHeadWidth", "head_dim", 7, "head_dim must be even; got 7"),
      config("NegativeEpsilon", "rms_norm_eps", -1e-6, "rms_norm_eps is out of range"),
      config("UnknownRope", "rope_scaling", Json{{"rope_type", "mrope"}, {"factor", 2.0}},
             "rope_scaling.rope_type \"mrope\" is not supported"),
      config("Experts", "num_local_experts", 8,
             "num_local_experts is set, but models of this model_type have no experts"),
      config("UnknownSwitch", "use_qk_norm", true,
             "config.json] use_qk_norm is not supported in llama models; got true; remove the key if"),
      config("UnknownRopeKey", "rope_scaling", Json{{"rope_type", "linear"}, {"factor", 2.0}, {"alpha", 8}},
             "rope_scaling.alpha is not supported in llama models; got 8"),
      config("Quantized", "quantization_config", Json{{"bits", 4}}, "quantization_config is set"),
      config("OneMoreLayer", "num_hidden_layers", 3,
             "tensor model.layers.2.input_layernorm.weight is missing"),
      config("OneLayerLess", "num_hidden_layers", 1, "is not a parameter of this llama configuration"),
      config("UntiedHead", "tie_word_embeddings", false, "tensor lm_head.weight is missing"),
      {"FewPositions", 2, "train.jsonl:1: 19 tokens, the model has 16 positions",
       [](Scene& scene) {
         return scene.change_json("model/config.json", [](Json& c) { c["max_position_embeddings"] = 16; })
             .train();
       }},
      json(
          "EndTokenOutside", "model/generation_config.json", [](Json& j) { j["eos_token_id"] = 400000; },
          "generation_config.json] eos_token_id: got 400000"),
      bytes(
          "ConfigCutOff", "model/config.json", [](std::string& text) { text.resize(100); },
          "config.json] not valid JSON at byte"),
      bytes(
          "ConfigTwice", "model/config.json", [](std::string& text) { text.insert(1, "\"vocab_size\": 1,"); },
          "the key \"vocab_size\" occurs twice"),
      without("NoConfig", "model/config.json",
              "config.json is missing; expected a Hugging Face model folder"),
  };
}

std::vector<BadInput> weight_cases() {
  return {
      bytes(
          "Truncated", kWeights, [](std::string& file) { file.resize(file.size() - 1000); },
          "the file is truncated or its header is wrong"),
      bytes(
          "Appended", kWeights, [](std::string& file) { file += "surplus!"; },
          "model.safetensors] 8 bytes follow the last tensor"),
      bytes(
          "EmptyFile", kWeights, [](std::string& file) { file.clear(); }, "too short for a safetensors file"),
      bytes(
          "HeaderLength", kWeights, [](std::string& file) { file.replace(0, 8, 8, '\xff'); },
          "header length 18446744073709551615"),
      bytes(
          "HeaderBitFlip", kWeights, [](std::string& file) { file[9] ^= 1; }, "model.safetensors"),
      bytes(
          "HeaderBrace", kWeights, [](std::string& file) { file[8] = '['; },
          "its header does not begin with {"),
      header(
          "Overlap",
          [](Json& h) {
            h[kNorm]["data_offsets"] = {0, 128};
          },
          "its data overlaps another tensor's"),
      header(
          "OffsetsReversed",
          [](Json& h) {
            h[kNorm]["data_offsets"] = {128, 0};
          },
          "data_offsets are not two ascending sizes"),
      header(
          "OffsetsOutside",
          [](Json& h) {
            h[kNorm]["data_offsets"] = {1ll << 40, (1ll << 40) + 128};
          },
          "past the"),
      header(
          "ShapeOverflow",
          [](Json& h) {
            h[kNorm]["shape"] = {1ll << 62, 1ll << 62};
          },
          "tensor \"model.norm.weight\": shape overflows"),
      header(
          "NegativeShape", [](Json& h) { h[kNorm]["shape"] = {-32}; },
          "shape holds something that is not a size"),
      header(
          "UnknownType", [](Json& h) { h[kNorm]["dtype"] = "F8_E4M3"; }, "dtype F8_E4M3 is not supported"),
      header(
          "IntegerWeights", [](Json& h) { h[kNorm]["dtype"] = "I32"; },
          "tensor model.norm.weight is not a float tensor"),
      header(
          "WrongShape",
          [](Json& h) {
            h[kQuery]["shape"] = {16, 64};
          },
          "has the wrong shape; got [16, 64], expected [32, 32]"),
      header(
          "Renamed", [](Json& h) { rename_key(h, kNorm, "model.norm.wait"); },
          "tensor model.norm.weight is missing"),
      header(
          "ControlCharacters", [](Json& h) { rename_key(h, kNorm, "model.norm\n\x1b[2J"); },
          "tensor model.norm.weight is missing"),
      without("NoWeights", kWeights, "has neither model.safetensors nor model.safetensors.index.json"),
      {"PickleOnly", 3, "holds pickle weights only (pytorch_model.bin)",
       [](Scene& scene) { return scene.remove(kWeights).write("model/pytorch_model.bin", "PK").train(); }},
      {"IndexTraversal", 3, "../../etc/passwd\" is not a plain name inside the folder",
       [](Scene& scene) { return with_index(scene, "../../etc/passwd"); }},
      {"IndexAbsolute", 3, "/etc/passwd\" is not a plain name inside the folder",
       [](Scene& scene) { return with_index(scene, "/etc/passwd"); }},
      {"IndexWithoutShard", 3, "its shard model-00001.safetensors is missing",
       [](Scene& scene) { return with_index(scene, "model-00001.safetensors"); }},
      {"LinkOutOfTheFolder", 3, "model.safetensors",
       [](Scene& scene) {
         std::filesystem::rename(scene.path(kWeights), scene.path("elsewhere"));
         std::filesystem::create_symlink(scene.path("elsewhere"), scene.path(kWeights));
         return scene.train();
       }},
      {"LinkLoop", 3, "model.safetensors cannot be read",
       [](Scene& scene) {
         scene.remove(kWeights);
         std::filesystem::create_symlink("model.safetensors", scene.path(kWeights));
         return scene.train();
       }},
      {"ReferenceOfAnotherSize", 3, "[@/other] tensor",
       [](Scene& scene) {
         std::filesystem::copy(scene.path("model"), scene.path("other"));
         return scene.change_json("other/config.json", [](Json& c) { c["vocab_size"] = 401; })
             .train_with("reference.model_name_or_path=@/other");
       }},
  };
}

std::vector<BadInput> tokenizer_cases() {
  const char* file = "model/tokenizer.json";
  return {
      without(
          "None", file,
          "[@/model] no tokenizer; expected tokenizer.json, tokenizer.model, tekken.json, or vocab.json and "
          "merges.txt"),
      bytes(
          "CutOff", file, [](std::string& text) { text.resize(text.size() / 2); },
          "tokenizer.json] not valid JSON at byte"),
      bytes(
          "DeepNesting", file, [](std::string& text) { text = std::string(1 << 20, '['); },
          "tokenizer.json] nested deeper than 64 levels"),
      json(
          "UnknownModel", file, [](Json& t) { t["model"]["type"] = "Unigram2"; }, "tokenizer.json: model]"),
      json(
          "IdTooLarge", file, [](Json& t) { t["model"]["vocab"]["a"] = 4294967296ll; },
          "token id: got 4294967296"),
      json(
          "IdTwice", file, [](Json& t) { t["model"]["vocab"]["a"] = t["model"]["vocab"]["b"]; },
          "tokenizer.json"),
      json(
          "MergeOfNothing", file,
          [](Json& t) {
            t["model"]["merges"][0] = {"zq", "qz"};
          },
          "tokenizer.json: model"),
      json(
          "UnknownField", file, [](Json& t) { t["pre_tokenizer"]["surprise"] = 1; },
          "unknown field \"surprise\""),
      json(
          "EvilRegex", file,
          [](Json& t) {
            t["pre_tokenizer"] = {{"type", "Split"},
                                  {"pattern", {{"Regex", "(((a*)*)*)*b(?<=x"}}},
                                  {"behavior", "Isolated"},
                                  {"invert", false}};
          },
          "tokenizer.json: pre_tokenizer"),
      json(
          "VocabularyLargerThanTheModel", "model/config.json", [](Json& c) { c["vocab_size"] = 300; },
          "model.embed_tokens.weight has the wrong shape"),
      {"ModelSmallerThanTheTokenizer", 3, "tokenizer and model do not belong together",
       [](Scene& scene) {
         scene.change_json("model/config.json", [](Json& c) { c["vocab_size"] = 300; });
         return scene
             .change_header(kWeights,
                            [](Json& h) {
                              Json& entry = h["model.embed_tokens.weight"];
                              const auto begin = entry["data_offsets"][0].get<std::int64_t>();
                              entry["shape"] = {300, 32};
                              h["extra.rotary_emb.inv_freq"] = {
                                  {"dtype", "F32"},
                                  {"shape", {100, 32}},
                                  {"data_offsets", {begin + 300 * 128, begin + 400 * 128}}};
                              entry["data_offsets"] = {begin, begin + 300 * 128};
                            })
             .train();
       }},
      {"NoEndToken", 3, "no end token; expected eos_token_id",
       [](Scene& scene) {
         scene.remove("model/generation_config.json")
             .remove("model/special_tokens_map.json")
             .write("model/tokenizer_config.json", R"({"tokenizer_class": "PreTrainedTokenizerFast"})");
         return scene.change_json("model/config.json", [](Json& c) { c.erase("eos_token_id"); }).train();
       }},
      json(
          "EndTokenIsText", "model/config.json", [](Json& c) { c["eos_token_id"] = "<|im_end|>"; },
          "eos_token_id: got \"<|im_end|>\""),
  };
}

// A GGUF file of a model, copied and changed.
BadInput gguf(const char* name, const std::string& source, const std::function<void(std::string&)>& change,
              const char* phrase) {
  return {name, 3, phrase, [=](Scene& scene) {
            scene.write("base.gguf", "").change_bytes("base.gguf", [&](std::string& bytes) {
              bytes = read_file(fixture(source));
              change(bytes);
            });
            return scene.command({"inspect", "model", "@/base.gguf"});
          }};
}

// Another text of the same length in its place, wherever it is.
std::function<void(std::string&)> replace_all(const std::string& from, const std::string& to) {
  return [=](std::string& bytes) {
    for (size_t at = bytes.find(from); at != std::string::npos; at = bytes.find(from, at + from.size()))
      bytes.replace(at, from.size(), to);
  };
}

std::vector<BadInput> gguf_cases() {
  const std::string llama = "gguf_models/llama.gguf";
  return {
      gguf(
          "Cut", llama, [](std::string& bytes) { bytes.resize(bytes.size() / 2); },
          "bytes of data; the file is truncated"),
      gguf(
          "CutMetadata", llama, [](std::string& bytes) { bytes.resize(200); },
          "leads past the end of the file's 200 bytes"),
      gguf("OtherArchitecture", llama, replace_all("llama", "lla'a"),
           "general.architecture \"lla'a\" is not supported in GGUF files"),
      gguf("UnknownKey", llama, replace_all("llama.rope.freq_base", "llama.rope.freq_bass"),
           "metadata \"llama.rope.freq_bass\" is not known"),
      gguf("MissingKey", llama, replace_all("llama.block_count", "other.block_count"),
           "metadata \"llama.block_count\" is missing"),
      gguf("UnknownTensor", llama, replace_all("blk.0.attn_q.weight", "blk.0.attn_x.weight"),
           "tensor blk.0.attn_x.weight is not one of the architecture llama"),
      gguf("LayerTooMany", llama, replace_all("blk.1.attn_q.weight", "blk.7.attn_q.weight"),
           "model.layers.1.self_attn.q_proj.weight is missing"),
      gguf("UnknownWords", "gguf_models/qwen2.gguf", replace_all("gpt-2", "gpt-9"),
           "metadata \"tokenizer.ggml.pre\" is \"gpt-9\""),
      gguf("UnknownTokenizer", "gguf_models/qwen2.gguf", replace_all("gpt2", "bert"),
           "metadata \"tokenizer.ggml.model\" is \"bert\""),
      gguf(
          "IsNone", "gguf_models/llama.gguf", [](std::string& bytes) { bytes[0] = 'g'; }, "not a GGUF file"),
  };
}

std::vector<BadInput> template_cases() {
  return {
      chat_template("OpenBlock", "{% for message in messages %}{{ message", "chat_template.jinja:1]"),
      chat_template("UnknownFilter", "{{ messages | shell('rm') }}", "shell"),
      chat_template("PythonInternals", "{{ messages.__class__.__mro__[1].__subclasses__() }}",
                    "the attribute __class__ is not allowed"),
      chat_template("Include", "{% include '/etc/passwd' %}", "include"),
      chat_template("DeepParentheses", "{{ " + std::string(100000, '(') + "1 }}", "nested deeper than"),
      chat_template("EndlessRecursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "deeper", 2),
      chat_template("HugeString", "{{ 'x' * 1000000000 }}", "string of more than", 2),
      chat_template("HugeRange", "{% for i in range(1000000000000) %}{% endfor %}", "range", 2),
      chat_template("DivisionByZero", "{{ 1 // 0 }}", "division", 2),
      chat_template("Refuses", "{{ raise_exception('only \x01 poems') }}", "only \\x01 poems", 2),
      chat_template("NoEndToken",
                    "{% for m in messages %}{{ m['role'] + ': ' + m['content'] }}{% endfor %}{% if "
                    "add_generation_prompt %}assistant: {% endif %}",
                    "gives no end token after a finished completion; got \"\", expected \"<|im_end|>\"", 2),
      chat_template("PromptRendersOtherwise",
                    "{{ messages | length }}{% for m in messages %}{{ m['content'] }}<|im_end|>{% endfor %}",
                    "renders the prompt alone otherwise than with the completion", 2),
      chat_template("NotUtf8", "\xff\xfe", "chat_template.jinja] not valid UTF-8"),
      chat_template("TwoMegabytes", std::string(2 << 20, 'x'), "chat_template.jinja] is too large"),
  };
}

}  // namespace

DDRO_BAD_INPUTS(ModelConfig, config_cases());
DDRO_BAD_INPUTS(Weights, weight_cases());
DDRO_BAD_INPUTS(Tokenizer, tokenizer_cases());
DDRO_BAD_INPUTS(Gguf, gguf_cases());
DDRO_BAD_INPUTS(Template, template_cases());

}  // namespace ddro::test
