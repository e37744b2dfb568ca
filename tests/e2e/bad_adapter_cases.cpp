// Adapters that are refused.
#include "bad_input.h"
#include "ddro/base/files.h"

namespace ddro::test {
namespace {

constexpr const char* kLora = "adapter: {adapter_type: lora, r: 2}\n";

BadInput section(const char* name, const char* lines, const char* phrase, int exit_code = 2) {
  return {name, exit_code, phrase, [lines](Scene& scene) { return scene.append_config(lines).train(); }};
}

// An adapter that a run has left in @/checkpoint, changed and then scored with.
BadInput folder(const char* name, const std::function<void(Scene&)>& change, const char* phrase) {
  return {name, 3, phrase, [=](Scene& scene) {
            scene.append_config(kLora).train_two_steps();
            std::filesystem::rename(scene.path("run/checkpoints/step_000002"), scene.path("checkpoint"));
            scene.remove("run");
            scene.remove("checkpoint/manifest.json");
            change(scene);
            return scene.command({"score", "--model", "@/checkpoint", "--data", "@/eval.jsonl"});
          }};
}

BadInput config(const char* name, const std::function<void(Json&)>& change, const char* phrase) {
  return folder(
      name, [=](Scene& scene) { scene.change_json("checkpoint/adapter_config.json", change); }, phrase);
}

BadInput header(const char* name, const std::function<void(Json&)>& change, const char* phrase) {
  return folder(
      name, [=](Scene& scene) { scene.change_header("checkpoint/adapter_model.safetensors", change); },
      phrase);
}

// An adapter that is written as a GGUF file.
BadInput gguf(const char* name, const char* lines, const char* phrase,
              std::vector<std::string> options = {}) {
  return {name, 2, phrase, [=](Scene& scene) {
            scene.append_config(lines).train_two_steps();
            std::vector<std::string> arguments = {"export", "@/run/checkpoints/step_000002", "--out",
                                                  "@/lora.gguf"};
            arguments.insert(arguments.end(), options.begin(), options.end());
            return scene.command(arguments);
          }};
}

Scene& add_gguf_file(Scene& scene, const std::function<void(std::string&)>& change = {}) {
  return scene.write("base.gguf", "").change_bytes("base.gguf", [&](std::string& bytes) {
    bytes = read_file(fixture("gguf_models/qwen2.gguf"));
    if (change) change(bytes);
  });
}

// An adapter that is to be trained on a GGUF file.
BadInput on_gguf(const char* name, int exit_code, const char* lines, const char* phrase,
                 const std::function<void(std::string&)>& change = {}) {
  return {name, exit_code, phrase, [=](Scene& scene) {
            return add_gguf_file(scene, change)
                .append_config(lines)
                .train({"--set", "model.model_name_or_path=@/base.gguf"});
          }};
}

// A GGUF adapter of which some bytes are changed, in @/lora.gguf, is scored with; or is put on `base`, a
// fixture.
BadInput changed_gguf(const char* name, const std::function<void(std::string&)>& change, const char* phrase,
                      const char* base = nullptr) {
  return {
      name, 3, phrase, [=](Scene& scene) {
        scene.append_config(kLora).train_two_steps();
        ddro_train(scene.command({"export", "@/run/checkpoints/step_000002", "--out", "@/lora.gguf"}));
        scene.remove("run").change_bytes("lora.gguf", change);
        if (!base) return scene.command({"score", "--model", "@/lora.gguf", "--data", "@/eval.jsonl"});
        return scene.command({"export", "@/lora.gguf", "--base", fixture(base).string(), "--out", "@/out"});
      }};
}

// The first `from`, which is as long as `to`.
std::function<void(std::string&)> replaced(const std::string& from, const std::string& to) {
  return [=](std::string& bytes) { bytes.replace(bytes.find(from), from.size(), to); };
}

constexpr const char* kA = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight";

std::vector<BadInput> section_cases() {
  return {
      section("RankOfZero", "adapter: {adapter_type: lora, r: 0}\n",
              "run.yaml:7 adapter.r] is out of range; got 0"),
      section("NegativeRank", "adapter: {adapter_type: lora, r: -4}\n", "adapter.r] is out of range; got -4"),
      section("UnknownType", "adapter: {adapter_type: ia3}\n",
              "run.yaml:7 adapter.adapter_type] got the text \"ia3\""),
      section("TargetOfNothing", "adapter: {adapter_type: lora, target_modules: [c_attn]}\n",
              "[adapter.target_modules] \"c_attn\" is no linear layer of the model; it has q_proj"),
      section("TargetIsAText", "adapter: {adapter_type: lora, target_modules: q_proj}\n",
              "adapter.target_modules] got the text \"q_proj\", expected all-linear, or a list"),
      section("NoTarget", "adapter: {adapter_type: lora, target_modules: []}\n",
              "adapter.target_modules] got"),
      section("HeadAsTarget", "adapter: {adapter_type: lora, target_modules: [lm_head]}\n",
              "embedding and head are trained in full by adapter.modules_to_save"),
      section("SavedNothing", "adapter: {adapter_type: lora, modules_to_save: [lm_haed]}\n",
              "[adapter.modules_to_save] \"lm_haed\" is no module of the model"),
      section("Dropout", "adapter: {adapter_type: lora, lora_dropout: 0.05}\n",
              "adapter.lora_dropout] unknown key; adapters are trained without dropout"),
      section("GgufOfDora", "adapter: {adapter_type: dora}\nexport: {gguf: keep}\n",
              "a GGUF adapter has no magnitudes"),
      section("GgufAdapterType", "adapter: {adapter_type: lora}\nexport: {gguf: q8_0}\n",
              "[export.gguf] a GGUF adapter is of float32; got q8_0, expected keep or float32"),
      section("NoSuchFolder", "adapter: {adapter_name_or_path: '@/nowhere'}\n",
              "[@/nowhere] there is no such folder", 3),
      section("FolderOfAModel", "adapter: {adapter_name_or_path: '@/model'}\n",
              "[@/model] adapter_config.json is missing; expected a PEFT folder", 3),
  };
}

std::vector<BadInput> folder_cases() {
  return {
      config(
          "OtherKind", [](Json& c) { c["peft_type"] = "IA3"; },
          "adapter_config.json] peft_type \"IA3\" is not supported; expected LORA"),
      config(
          "TrainedBiases", [](Json& c) { c["bias"] = "all"; }, "bias is not supported; got \"all\""),
      config(
          "ConfigRankOfZero", [](Json& c) { c["r"] = 0; }, "adapter_config.json] r is out of range; got 0"),
      config(
          "AnotherRank", [](Json& c) { c["r"] = 3; },
          "lora_A.weight has the wrong shape; got [2, 32], expected [3, 32]"),
      config(
          "FewerTargets", [](Json& c) { c["target_modules"] = {"q_proj"}; },
          "is not what adapter_config.json and the base model call for"),
      config(
          "BaseIsGone", [](Json& c) { c["base_model_name_or_path"] = "no-such-org/no-such-model"; },
          "the base model that base_model_name_or_path names is not there"),
      config(
          "BaseIsItself", [](Json& c) { c["base_model_name_or_path"] = "../checkpoint"; },
          "is an adapter; expected the base model of"),
      header(
          "TensorMissing",
          [](Json& h) {
            h["base_model.model.other"] = h[kA];
            h.erase(kA);
          },
          "q_proj.lora_A.weight is missing; adapter_config.json and the base model call for it"),
      header(
          "AnotherBaseHash", [](Json& h) { h["__metadata__"]["base_model_hash"] = "0"; },
          "was trained on another base model"),
      folder(
          "AnotherBase",
          [](Scene& scene) {
            scene.change_bytes("model/model.safetensors", [](std::string& bytes) { bytes.back() ^= 1; });
          },
          "was trained on another base model"),
      folder(
          "NoWeights", [](Scene& scene) { scene.remove("checkpoint/adapter_model.safetensors"); },
          "adapter_model.safetensors is missing"),
      folder(
          "CutOffWeights",
          [](Scene& scene) {
            scene.change_bytes("checkpoint/adapter_model.safetensors",
                               [](std::string& b) { b.resize(b.size() / 2); });
          },
          "adapter_model.safetensors"),
  };
}

std::vector<BadInput> gguf_cases() {
  return {
      gguf("Dora", "adapter: {adapter_type: dora, r: 2}\n", "a GGUF adapter has no magnitudes"),
      gguf("SavedModule", "adapter: {adapter_type: lora, r: 2, modules_to_save: [norm]}\n",
           "norm.weight was trained in full; expected LoRA alone"),
      gguf("OtherType", kLora, "a GGUF adapter is of float32; got bfloat16", {"--dtype", "bfloat16"}),
  };
}

std::vector<BadInput> changed_gguf_cases() {
  const auto without_hash = replaced("ddro.base_model_hash", "ddro.base_model_hasx");
  return {
      changed_gguf(
          "Cut", [](std::string& bytes) { bytes.resize(bytes.size() / 2); },
          "bytes of data; the file is truncated"),
      changed_gguf("NoAlpha", replaced("adapter.lora.alpha", "adapter.lora.alphb"),
                   "lora.gguf] adapter.lora.alpha is missing"),
      changed_gguf(
          "AlphaOfZero",
          [](std::string& bytes) {
            const std::string key = "adapter.lora.alpha";
            bytes.replace(bytes.find(key) + key.size() + 4, 4, std::string(4, '\0'));
          },
          "adapter.lora.alpha is out of range; got 0"),
      changed_gguf(
          "OtherKind",
          [](std::string& bytes) {
            bytes.replace(bytes.find("lora", bytes.find("adapter.type")), 4, "ia3x");
          },
          "adapter.type is \"ia3x\"; expected \"lora\""),
      changed_gguf("UnknownKey", replaced("ddro.base_model_hash", "adapter.lora.other_x"),
                   "metadata \"adapter.lora.other_x\" is not supported in a LoRA"),
      changed_gguf("UnknownTensor", replaced("blk.0.attn_q.weight.lora_a", "blk.0.attn_x.weight.lora_a"),
                   "tensor blk.0.attn_x.weight.lora_a is of no linear layer of the base model"),
      changed_gguf("NoFactor", replaced("attn_q.weight.lora_a", "attn_q.weight.lora_c"),
                   "lora_c is no factor of a LoRA; expected NAME.weight.lora_a or .lora_b"),
      changed_gguf("TensorTwice", replaced("blk.0.attn_q.weight.lora_b", "blk.0.attn_k.weight.lora_b"),
                   "lora.gguf] tensor \"blk.0.attn_k.weight.lora_b\": occurs twice"),
      changed_gguf("NoBase", replaced("ddro.base_model_name_or_path", "ddro.base_model_name_or_pxxx"),
                   "does not name its base model; write it as a PEFT folder that does: ddro-train export"),
      changed_gguf("BaseIsGone", replaced("/model", "/modex"),
                   "lora.gguf] the base model that its metadata names is not there"),
      changed_gguf("AnotherBase", replaced("/model", "/model"), "was trained on another base model",
                   "gguf_models/llama.gguf"),
      changed_gguf("ShapesOfAnotherBase", without_hash,
                   "lora_A.weight has the wrong shape; got [2, 32], expected [2, 256]",
                   "gguf_models/llama.gguf"),
      changed_gguf("AnotherArchitecture", without_hash,
                   "is an adapter for the architecture \"llama\"; the base model is of \"qwen2\"",
                   "gguf_models/qwen2.gguf"),
      on_gguf("AModelAsAdapter", 3, "adapter: {adapter_name_or_path: '@/base.gguf'}\n",
              "base.gguf] is a GGUF file of type \"model\"; expected \"adapter\""),
  };
}

std::vector<BadInput> packed_cases() {
  return {
      on_gguf("Cut", 3, kLora, "bytes of data; the file is truncated",
              [](std::string& bytes) { bytes.resize(bytes.size() / 2); }),
      on_gguf("TargetOfNothing", 2, "adapter: {adapter_type: lora, target_modules: [attn_q]}\n",
              "[adapter.target_modules] \"attn_q\" is no linear layer of the model; it has q_proj"),
      folder(
          "AdapterOfAnotherBase",
          [](Scene& scene) {
            add_gguf_file(scene).change_json("checkpoint/adapter_config.json", [](Json& config) {
              config["base_model_name_or_path"] = "../base.gguf";
            });
          },
          "was trained on another base model"),
  };
}

}  // namespace

DDRO_BAD_INPUTS(AdapterGguf, gguf_cases());
DDRO_BAD_INPUTS(ChangedAdapterGguf, changed_gguf_cases());
DDRO_BAD_INPUTS(PackedBase, packed_cases());
DDRO_BAD_INPUTS(AdapterSection, section_cases());
DDRO_BAD_INPUTS(AdapterFolder, folder_cases());

}  // namespace ddro::test
