// Command lines that make no sense, and places that cannot be written.
#include <fcntl.h>
#include <sys/file.h>

#include <stdexcept>

#include "bad_input.h"

namespace ddro::test {
namespace {

BadInput usage(const char* name, const Arguments& arguments, const char* phrase, int exit_code = 2) {
  return {name, exit_code, phrase, [arguments](Scene& scene) { return scene.command(arguments); }};
}

std::vector<BadInput> command_cases() {
  return {
      usage("NoCommand", {}, "[usage] A subcommand is required"),
      usage("UnknownCommand", {"trian", "@/run.yaml"}, "[usage]"),
      usage("UnknownOption", {"train", "@/run.yaml", "--lr", "1"}, "[usage]"),
      usage("NoConfig", {"train"}, "[usage] config is required"),
      usage("ResumeWithoutValue", {"train", "@/run.yaml", "--resume"}, "[usage] --resume"),
      usage("ControlCharacters", {"train", "@/run.yaml", "--\x1b[2J\nok"}, "\\x1B[2J\\nok"),
      usage("EvalWithoutModel", {"eval", "@/run.yaml"}, "[eval] @/run holds neither final/ nor a checkpoint"),
      usage("EvalOfNothing", {"eval", "@/run.yaml", "--set", "data.eval_files={}"},
            "[data.eval_files] is empty"),
      usage("ScoreWithoutModel", {"score", "--data", "@/train.jsonl"}, "[usage] --model is required"),
      usage("ScoreOfAMissingFile", {"score", "--model", "@/model", "--data", "@/nothing.jsonl"},
            "[data] @/nothing.jsonl: no such file"),
      usage("ScoreInAnUnknownType",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--dtype", "int4"},
            "[--dtype] unknown value \"int4\""),
      usage("ScoreLengthOfOne",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--max-length", "1"},
            "[usage] --max-length"),
      usage("ScoreOfAnUnknownLayout",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--layout", "dpo"},
            "[--layout] unknown value \"dpo\"; known: auto, pairs"),
      usage("ScoreOfAColumnWithoutItsName",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--columns", "chosen"},
            "[--columns] no column; got chosen, expected OURS=THEIRS"),
      usage("ScoreOfAColumnTwice",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--columns", "chosen=a", "--columns",
             "chosen=b"},
            "[--columns] chosen is given twice"),
      usage("ScoreOfNoField",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--columns", "best=a"},
            "[data.columns] no field of a row; got \"best\""),
      usage("ScoreWithAListForTheTemplate",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--chat-template-kwargs", "[]"},
            "[--chat-template-kwargs] got [], expected a JSON object"),
      usage("ScoreWithBrokenVariables",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--chat-template-kwargs", "{a"},
            "[--chat-template-kwargs] not valid JSON"),
      usage("ScoreWithAMissingReference",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--reference", "@/nowhere"},
            "[@/nowhere] there is no such folder", 3),
      usage("GenerateWithoutPrompts", {"generate", "--model", "@/model"}, "[usage] --prompts is required"),
      usage("GenerateFromAMissingFile", {"generate", "--model", "@/model", "--prompts", "@/nothing.jsonl"},
            "[data] @/nothing.jsonl: no such file"),
      usage("GenerateAtATemperatureBelowZero",
            {"generate", "--model", "@/model", "--prompts", "@/train.jsonl", "--temperature", "-1"},
            "[--temperature] is out of range; got -1"),
      usage("GenerateAtNoTemperature",
            {"generate", "--model", "@/model", "--prompts", "@/train.jsonl", "--temperature", "warm"},
            "[usage]"),
      usage("GenerateWithAnEmptyStop",
            {"generate", "--model", "@/model", "--prompts", "@/train.jsonl", "--stop", ""},
            "[--stop] is out of range; got an empty text"),
      usage("GenerateIntoAFolder",
            {"generate", "--model", "@/model", "--prompts", "@/train.jsonl", "--out", "@/model"},
            "[--out] @/model exists and is not a regular file"),
      usage("GenerateIntoNowhere",
            {"generate", "--model", "@/model", "--prompts", "@/train.jsonl", "--out", "@/nowhere/out.jsonl"},
            "[--out] the folder of @/nowhere/out.jsonl does not exist"),
      usage("DoctorOfNoFolder", {"doctor", "--dir", "@/run.yaml"}, "[--dir] @/run.yaml is not a folder"),
      usage("DoctorOfAnUnknownShape", {"doctor", "--speed", "3b"},
            "[--speed] unknown value \"3b\"; known: 135m, 1.2b, 8b"),
      {"GenerateFromAnEmptyFile", 2, "[data] @/empty.jsonl: holds no prompts",
       [](Scene& s) {
         return s.write("empty.jsonl", "\n")
             .command({"generate", "--model", "@/model", "--prompts", "@/empty.jsonl"});
       }},
      {"GenerateWithoutAPrompt", 2, "[data] @/rows.jsonl:2: \"prompt\" is missing",
       [](Scene& s) {
         return s.write("rows.jsonl", "{\"prompt\": \"a\"}\n{\"text\": \"b\"}\n")
             .command({"generate", "--model", "@/model", "--prompts", "@/rows.jsonl"});
       }},
      {"GenerateFromAnEmptyPrompt", 2, "[data] @/rows.jsonl:1: \"prompt\" gives no token",
       [](Scene& s) {
         return s.write("rows.jsonl", "{\"prompt\": \"\"}\n")
             .command({"generate", "--model", "@/model", "--prompts", "@/rows.jsonl"});
       }},
      {"GenerateFromNoJson", 2, "[data] @/rows.jsonl:1: not valid JSON",
       [](Scene& s) {
         return s.write("rows.jsonl", "hello\n")
             .command({"generate", "--model", "@/model", "--prompts", "@/rows.jsonl"});
       }},
      usage("ExportIntoAFolderInUse", {"export", "@/model", "--out", "@/model"},
            "[@/model] exists and is not an empty folder"),
      usage("ExportInAnUnknownType", {"export", "@/model", "--out", "@/new", "--dtype", "int4"},
            "[--dtype] unknown value \"int4\""),
      usage("ExportInATypeOfNoGgufFile", {"export", "@/model", "--out", "@/new.gguf", "--dtype", "q4_k"},
            "[--dtype] unknown value \"q4_k\""),
      usage("ExportOfAFolderInQ8", {"export", "@/model", "--out", "@/new", "--dtype", "q8_0"},
            "[--dtype] unknown value \"q8_0\""),
      {"ExportToAGgufFileInUse", 2, "[@/old.gguf] exists; choose another name",
       [](Scene& s) {
         return s.write("old.gguf", "").command({"export", "@/model", "--out", "@/old.gguf"});
       }},
      {"ExportOfAFamilyWithoutGgufFiles", 2,
       "what GGUF files call the tensors of granite is not known; expected a model of llama",
       [](Scene& s) {
         return s.change_json("model/config.json", [](Json& config) { config["model_type"] = "granite"; })
             .command({"export", "@/model", "--out", "@/new.gguf"});
       }},
      {"ExportOfYarnWithAFactorOfItsOwn", 2, "GGUF files of llama cannot say \"rope_scaling\"",
       [](Scene& s) {
         return s
             .change_json("model/config.json",
                          [](Json& config) {
                            config["rope_scaling"] = {{"rope_type", "yarn"},
                                                      {"factor", 4},
                                                      {"attention_factor", 2},
                                                      {"original_max_position_embeddings", 64}};
                          })
             .command({"export", "@/model", "--out", "@/new.gguf"});
       }},
      {"ExportOfAnotherLlama3", 2, "GGUF files of llama cannot say this configuration",
       [](Scene& s) {
         return s
             .change_json("model/config.json",
                          [](Json& config) {
                            config["rope_scaling"] = {{"rope_type", "llama3"},
                                                      {"factor", 8},
                                                      {"low_freq_factor", 1},
                                                      {"high_freq_factor", 2},
                                                      {"original_max_position_embeddings", 64}};
                          })
             .command({"export", "@/model", "--out", "@/new.gguf"});
       }},
      {"ExportOfWordsWithoutAName", 2, "there is no name for how it cuts text into words",
       [](Scene& s) {
         return s
             .change_json("model/tokenizer.json",
                          [](Json& json) { json["pre_tokenizer"]["add_prefix_space"] = true; })
             .command({"export", "@/model", "--out", "@/new.gguf"});
       }},
      usage("ExportOfNothing", {"export", "@/nowhere", "--out", "@/new"},
            "[@/nowhere] there is no such folder", 3),
      usage("InspectNothing", {"inspect", "checkpoint", "@/nowhere"}, "[@/nowhere] does not exist", 3),
      usage("InspectWithoutKind", {"inspect"}, "[usage] A subcommand is required"),
      usage("TokenizeWithAMissingModel", {"tokenize", "--model", "@/nowhere"},
            "[@/nowhere] there is no such folder", 3),
      usage("LossOfAMissingFile", {"loss", "--data", "@/nothing.jsonl"},
            "[@/nothing.jsonl] cannot be opened"),
      usage("LossWithAnotherSection", {"loss", "--data", "@/train.jsonl", "--set", "train.seed=1"},
            "only the section objective can be set here"),
      usage("LossOfOtherRows", {"loss", "--data", "@/train.jsonl"},
            "[@/train.jsonl:1] expected either chosen_logp"),
      {"LossIsNotFinite", 2, "log.jsonl:1] the number 1e999 is too large",
       [](Scene& s) {
         return s.write("log.jsonl", R"({"logp": 1e999, "ref_logp": -1, "label": true})")
             .command({"loss", "--data", "@/log.jsonl"});
       }},
      usage("ReportWithoutRuns", {"report"}, "[usage] runs is required"),
      usage("ReportOfAMissingFolder", {"report", "@/nowhere"}, "[@/nowhere] there is no such folder"),
      usage("ReportOfAModel", {"report", "@/model"}, "[@/model] is not a run's folder"),
      usage("ReportOfAFile", {"report", "@/run.yaml"}, "[@/run.yaml] is not a run's folder"),
      usage("StatusOfAModel", {"status", "@/model"}, "[@/model] is not a run's folder"),
      usage("ReportIntoNoFolder", {"report", "@/model", "--out", "@/none/report.html"},
            "[--out] the folder of @/none/report.html does not exist"),
      {"ReportOfNoMetrics", 2, "[@/past/metrics.jsonl] is a folder; expected a file",
       [](Scene& s) {
         std::filesystem::create_directories(s.path("past/metrics.jsonl"));
         return s.command({"report", "@/past", "--out", "@/report.html"});
       }},
      {"ReportOfOtherLines", 2, "[@/past/metrics.jsonl:2] not valid JSON",
       [](Scene& s) {
         return s.write("past/metrics.jsonl", "{\"step\":1}\n\x01\n")
             .command({"report", "@/past", "--out", "@/report.html"});
       }},
      {"TokenizeLatin1", 2, "[stdin:1] not valid UTF-8 at byte 3",
       [](Scene& s) {
         return s.command({"tokenize", "--model", "@/model"});
       },
       "caf\xe9\n"},
      {"TokenizeNotJson", 2, "[stdin:1] not valid JSON",
       [](Scene& s) {
         return s.command({"tokenize", "--model", "@/model", "--chat"});
       },
       "hello\n"},
      {"TokenizeNotMessages", 2, "[stdin:1] not a list of messages",
       [](Scene& s) {
         return s.command({"tokenize", "--model", "@/model", "--chat"});
       },
       "{}\n"},
  };
}

// The program may write no file larger than this; the system's answer is that of a disk without room.
std::vector<std::string> file_limit(int bytes) {
  return {"prlimit", "--fsize=" + std::to_string(bytes), "--"};
}

BadInput unwritable(const char* name, const char* output_dir, const char* phrase) {
  return {name, 78, phrase, [output_dir](Scene& scene) {
            return scene.train_with(std::string("train.output_dir=") + output_dir);
          }};
}

BadInput limited(const char* name, const Arguments& arguments, int bytes, const char* phrase, bool writes) {
  return {name, 78,     phrase,           [arguments](Scene& scene) { return scene.command(arguments); },
          "",   writes, file_limit(bytes)};
}

std::vector<BadInput> output_cases() {
  const std::string long_name(300, 'x');
  return {
      unwritable("SystemFolder", "/proc/ddro-train/run", "[/proc/ddro-train] cannot be created"),
      unwritable("InsideAFile", "@/run.yaml/run", "[@/run.yaml/run] cannot be created: Not a directory"),
      unwritable("IsAFile", "@/run.yaml", "[@/run.yaml] cannot be created: a file of this name exists"),
      {"NameTooLong", 78, "cannot be created: File name too long",
       [long_name](Scene& s) { return s.train_with("train.output_dir=@/" + long_name); }},
      {"LinkLoop", 78, "[@/loop] cannot be created",
       [](Scene& s) {
         std::filesystem::create_symlink("loop", s.path("loop"));
         return s.train_with("train.output_dir=@/loop");
       }},
      {"RecordIsAFolder", 3, "run/run.json] is a folder",
       [](Scene& s) {
         std::filesystem::create_directories(s.path("run/run.json"));
         return s.train();
       }},
      {"ConfigIsAFolder", 78, "run/config.yaml] exists and is not a regular file",
       [](Scene& s) {
         std::filesystem::create_directories(s.path("run/config.yaml"));
         return s.train();
       },
       "", true},
      {"MetricsIsAFolder", 78, "run/metrics.jsonl] cannot be written: Is a directory",
       [](Scene& s) {
         std::filesystem::create_directories(s.path("run/metrics.jsonl"));
         return s.train();
       },
       "", true},
      {"CheckpointsIsAFile", 3, "run/checkpoints] cannot be listed",
       [](Scene& s) { return s.write("run/checkpoints", "").train(); }, "", true},
      {"InUse", 2, "run/.lock] the folder is in use by another process",
       [](Scene& s) {
         s.write("run/.lock", "");
         // Held until this process ends: the program is started by it, and does not get the descriptor.
         const int lock = open(s.path("run/.lock").c_str(), O_RDWR | O_CLOEXEC);
         if (lock < 0 || flock(lock, LOCK_EX) != 0) throw std::runtime_error("no lock");
         return s.train();
       }},
      limited("NoRoomForTheRecord", {"train", "@/run.yaml"}, 100, "cannot be written: File too large", true),
      limited("NoRoomForTheReferenceCache", {"train", "@/run.yaml", "--set", "train.max_steps=-1"}, 4600,
              "run/ref_cache/reference_", true),
      limited("NoRoomForMetrics",
              {"train", "@/run.yaml", "--set", "train.max_steps=-1", "--set",
               "reference.precompute_ref_log_probs=false", "--set", "logging.report_to=[jsonl]"},
              4600, "run/metrics.jsonl] cannot be written", true),
      limited("NoRoomForTheLastCheckpoint", {"train", "@/run.yaml"}, 100000,
              "step_000002.tmp/model.safetensors] cannot be written: File too large", true),
      limited("NoRoomForScores",
              {"score", "--model", "@/model", "--data", "@/train.jsonl", "--out", "@/scores.jsonl"}, 1000,
              "[@/scores.jsonl.tmp] cannot be written: File too large", false),
      limited("NoRoomForTheExport", {"export", "@/model", "--out", "@/new"}, 50000,
              "cannot be written: File too large", false),
      {"NoRoomForTheReport", 78, "[@/report.html.tmp] cannot be written: File too large",
       [](Scene& s) {
         return s.write("past/metrics.jsonl", "").command({"report", "@/past", "--out", "@/report.html"});
       },
       "", false, file_limit(1000)},
      usage("ScoresIntoADevice",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--out", "/dev/full"},
            "[--out] /dev/full exists and is not a regular file", 2),
      usage("ScoresIntoAFolder",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--out", "@/model"},
            "[--out] @/model exists and is not a regular file", 2),
      usage("ScoresIntoNoFolder",
            {"score", "--model", "@/model", "--data", "@/train.jsonl", "--out", "@/none/scores.jsonl"},
            "[--out] the folder of @/none/scores.jsonl does not exist", 2),
      usage("ExportBelowAFile", {"export", "@/model", "--out", "@/run.yaml/new"}, "cannot be", 78),
      {"AGpuThatIsNotThere",
       3,
       "[device] CUDA_VISIBLE_DEVICES asks for a GPU, but ",
       [](Scene& s) { return s.train(); },
       "",
       false,
       {"env", "CUDA_VISIBLE_DEVICES=99"}},
      {"StandardOutputIsFull",
       78,
       "[stdout] cannot be written: No space left on device",
       [](Scene& s) { return s.command({"config"}); },
       "",
       false,
       {"sh", "-c", "exec \"$0\" \"$@\" >/dev/full"}},
  };
}

}  // namespace

DDRO_BAD_INPUTS(Command, command_cases());
DDRO_BAD_INPUTS(Output, output_cases());

}  // namespace ddro::test
