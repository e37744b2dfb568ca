// Checkpoints that are refused. Where an older one verifies, the run goes on from that instead: see
// resume_test.cpp.
#include "bad_input.h"
#include "ddro/base/safetensors.h"

namespace ddro::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNewest = "run/checkpoints/step_000002";
constexpr const char* kOlder = "run/checkpoints/step_000001";

std::string newest(const std::string& name) { return std::string(kNewest) + "/" + name; }

// After two steps something is done to the newest checkpoint, and the run is told to go on from it.
BadInput damaged(const char* name, const std::function<void(Scene&)>& change, const char* phrase) {
  return {name, 3, phrase, [change](Scene& scene) {
            change(scene.train_two_steps());
            return scene.train({"--resume", std::string("@/") + kNewest});
          }};
}

void flip_middle_bit(std::string& file) { file[file.size() / 2] ^= 1; }

// The tensors of a file, those left out that `keep` refuses, under names that `rename` gives.
void rewrite_tensors(const fs::path& path, const std::function<std::string(const std::string&)>& rename) {
  const fs::path fresh = path.string() + ".new";
  {
    const SafetensorsFile file(path);
    std::vector<NamedBytes> tensors;
    for (const auto& [name, view] : file.tensors()) {
      const std::string new_name = rename(name);
      if (!new_name.empty()) tensors.push_back({new_name, view.dtype, view.shape, view.bytes});
    }
    write_safetensors(fresh, tensors, {});
  }
  fs::rename(fresh, path);
}

BadInput foreign_state(const char* name, const char* file,
                       const std::function<std::string(const std::string&)>& rename, const char* phrase) {
  BadInput bad = damaged(
      name,
      [=](Scene& scene) {
        rewrite_tensors(scene.path(newest(file)), rename);
        scene.reseal(kNewest);
      },
      phrase);
  bad.writes =
      true;  // what is found here was sealed as whole; a run that begins writes its configuration first
  return bad;
}

std::vector<BadInput> file_cases() {
  return {
      damaged(
          "FlippedWeight", [](Scene& s) { s.change_bytes(newest("model.safetensors"), flip_middle_bit); },
          "step_000002/model.safetensors] is damaged"),
      damaged(
          "FlippedMoment", [](Scene& s) { s.change_bytes(newest("optimizer.safetensors"), flip_middle_bit); },
          "step_000002/optimizer.safetensors] is damaged"),
      damaged(
          "FlippedManifest", [](Scene& s) { s.change_bytes(newest("manifest.json"), flip_middle_bit); },
          "step_000002/manifest.json]"),
      damaged(
          "CutOff", [](Scene& s) { fs::resize_file(s.path(newest("optimizer.safetensors")), 1000); },
          "has the wrong size; got 1000 bytes"),
      damaged(
          "FileMissing", [](Scene& s) { s.remove(newest("trainer.json")); },
          "step_000002/trainer.json] is missing"),
      damaged(
          "ManifestMissing", [](Scene& s) { s.remove(newest("manifest.json")); },
          "step_000002/manifest.json] cannot be opened"),
      damaged(
          "ManifestEmpty",
          [](Scene& s) { s.change_bytes(newest("manifest.json"), [](std::string& t) { t.clear(); }); },
          "step_000002/manifest.json] not valid JSON"),
      damaged(
          "FileTooMuch", [](Scene& s) { s.write(newest("surplus.bin"), "x"); },
          "surplus.bin] is not in the manifest"),
      damaged(
          "ManifestOfAnotherStep",
          [](Scene& s) {
            fs::copy_file(s.path(std::string(kOlder) + "/manifest.json"), s.path(newest("manifest.json")),
                          fs::copy_options::overwrite_existing);
          },
          "is of another checkpoint; got step 1, expected 2"),
      damaged(
          "FileIsALink",
          [](Scene& s) {
            fs::rename(s.path(newest("trainer.json")), s.path("elsewhere"));
            fs::create_symlink(s.path("elsewhere"), s.path(newest("trainer.json")));
          },
          "trainer.json] is not a regular file"),
      damaged(
          "ManifestNamesAnotherFolder",
          [](Scene& s) {
            s.reseal(kNewest, [](Json& m) { m["files"]["../../run.json"] = m["files"]["trainer.json"]; });
          },
          "a wrong entry for ../../run.json"),
      damaged(
          "ManifestFromTheFuture",
          [](Scene& s) { s.reseal(kNewest, [](Json& m) { m["schema_version"] = 2; }); },
          "schema_version is not known; got 2, expected 1"),
      damaged(
          "NeverCompleted", [](Scene& s) { s.reseal(kNewest, [](Json& m) { m["complete"] = false; }); },
          "the checkpoint is not complete"),
      {"NoneVerifies", 3, "none of its 2 checkpoints can be used; the newest:",
       [](Scene& scene) {
         scene.train_two_steps().change_bytes(newest("trainer.json"), flip_middle_bit);
         return scene.change_bytes(std::string(kOlder) + "/trainer.json", flip_middle_bit).train();
       }},
      {"NoSuchFolder", 3, "[@/nowhere] does not exist",
       [](Scene& s) {
         return s.train({"--resume", "@/nowhere"});
       },
       "", true},
      {"NotACheckpoint", 3, "[@/model/manifest.json] cannot be opened",
       [](Scene& s) {
         return s.train({"--resume", "@/model"});
       },
       "", true},
      {"InspectDamaged", 3, "model.safetensors] is damaged",
       [](Scene& s) {
         s.train_two_steps().change_bytes(newest("model.safetensors"), flip_middle_bit);
         return s.command({"inspect", "checkpoint", std::string("@/") + kNewest});
       }},
      {"ExportDamaged", 3, "model.safetensors] is damaged",
       [](Scene& s) {
         s.train_two_steps().change_bytes(newest("model.safetensors"), flip_middle_bit);
         return s.command({"export", std::string("@/") + kNewest, "--out", "@/exported"});
       }},
      {"RunRecordDamaged", 3, "run.json] not valid JSON",
       [](Scene& s) { return s.train_two_steps().write("run/run.json", "{").train(); }},
  };
}

std::vector<BadInput> state_cases() {
  const auto same = [](const std::string& name) { return name; };
  const auto trainer_state = [](const char* name, const std::function<void(Json&)>& change,
                                const char* phrase) {
    BadInput bad = damaged(
        name, [=](Scene& s) { s.change_json(newest("trainer.json"), change).reseal(kNewest); }, phrase);
    bad.writes = true;
    return bad;
  };
  return {
      foreign_state(
          "MomentMissing", "optimizer.safetensors",
          [](const std::string& name) { return name == "exp_avg.model.norm.weight" ? "" : name; },
          "tensor \"exp_avg.model.norm.weight\" is missing"),
      foreign_state(
          "MomentOfAnotherModel", "optimizer.safetensors",
          [](const std::string& name) {
            return name == "exp_avg.model.norm.weight" ? "exp_avg.transformer.ln_f.weight" : name;
          },
          "tensor \"exp_avg.model.norm.weight\" is missing"),
      foreign_state(
          "WeightOfAnotherModel", "model.safetensors",
          [](const std::string& name) {
            return name == "model.norm.weight" ? "model.layers.0.self_attn.q_proj.weight"
                   : name == "model.layers.0.self_attn.q_proj.weight" ? "model.norm.weight"
                                                                      : name;
          },
          "has another shape or type than the model"),
      foreign_state(
          "MomentsForWeights", "model.safetensors",
          [=](const std::string& name) { return "exp_avg." + same(name); }, "is missing"),
      trainer_state(
          "StepMissing", [](Json& t) { t.erase("step"); }, "trainer.json] is not a trainer's state"),
      trainer_state(
          "StepIsText", [](Json& t) { t["step"] = "two"; }, "trainer.json] is not a trainer's state"),
      trainer_state(
          "NegativeStep", [](Json& t) { t["step"] = -5; }, "trainer.json]"),
      trainer_state(
          "PastTheEpoch", [](Json& t) { t["step_in_epoch"] = 1000000; }, "trainer.json]"),
      trainer_state(
          "NegativeEpoch", [](Json& t) { t["epoch"] = -1; }, "trainer.json]"),
      damaged(
          "IdentityMissing", [](Scene& s) { s.reseal(kNewest, [](Json& m) { m.erase("run"); }); },
          "manifest.json]"),
      damaged(
          "IdentityIsAList", [](Scene& s) { s.reseal(kNewest, [](Json& m) { m["run"] = Json::array(); }); },
          "manifest.json]"),
  };
}

BadInput changed(const char* name, const char* override, const char* phrase) {
  return {name, 2, phrase, [override](Scene& scene) { return scene.train_two_steps().train_with(override); }};
}

std::vector<BadInput> change_cases() {
  return {
      changed("Seed", "train.seed=7", "[resume] train.seed: 42 -> 7 would change the order of samples"),
      changed("BatchSize", "train.train_batch_size=4",
              "[resume] train.train_batch_size: 8 -> 4 would change the order of samples"),
      changed("MaxLength", "data.max_length=100",
              "[resume] data.max_length: 128 -> 100 would change the order of samples"),
      changed("Loss", "objective.loss_type=rdro", "give --allow-change=loss"),
      {"Data", 2, "give --allow-change=data",
       [](Scene& s) {
         return s.train_two_steps().add_row(R"({"prompt": "Q:", "chosen": " a", "rejected": " b"})").train();
       }},
      {"Template", 2, "give --allow-change=template",
       [](Scene& s) {
         return s.train_two_steps()
             .change_bytes("model/chat_template.jinja", [](std::string& t) { t += "{# more #}"; })
             .train();
       }},
      {"Tokenizer", 2, "give --allow-change=tokenizer",
       [](Scene& s) {
         return s.train_two_steps()
             .change_bytes("model/tokenizer.json", [](std::string& t) { t += "\n"; })
             .train();
       }},
      {"BaseModel", 2, "give --allow-change=base_model",
       [](Scene& s) {
         return s.train_two_steps()
             .change_bytes("model/model.safetensors", [](std::string& t) { t.back() ^= 1; })
             .train();
       }},
      {"UnknownAllowedChange", 2, "[--allow-change] unknown name \"everything\"",
       [](Scene& s) { return s.train_two_steps().train({"--allow-change=everything"}); }},
      {"ResumeNever", 2, "holds a run (checkpoints); --resume never needs another folder",
       [](Scene& s) {
         return s.train_two_steps().train({"--resume", "never"});
       }},
  };
}

}  // namespace

DDRO_BAD_INPUTS(Checkpoint, file_cases());
DDRO_BAD_INPUTS(State, state_cases());
DDRO_BAD_INPUTS(Change, change_cases());

}  // namespace ddro::test
