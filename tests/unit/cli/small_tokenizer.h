// A tokenizer.json for tests of the command line.
#pragma once

namespace ddro::test {

// Byte-level: a, b, ab, the control token <|end|> (3), and the bytes of "é" (4, 5), line break (6) and escape
// (7).
inline constexpr const char* kSmallTokenizer = R"({
  "version": "1.0", "truncation": null, "padding": null,
  "added_tokens": [{"id": 3, "content": "<|end|>", "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true}],
  "normalizer": null,
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
  "post_processor": null,
  "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
  "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": {"a": 0, "b": 1, "ab": 2, "<|end|>": 3, "\u00c3": 4, "\u00a9": 5, "\u010a": 6, "\u011b": 7}, "merges": ["a b"]}
})";

}  // namespace ddro::test
