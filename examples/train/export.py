#!/usr/bin/env python3
"""Writes the trained model as GGUF.

    export.py --data DIR --out DIR --type f32|f16|q8_0 model.gguf

DIR of --data has tokenizer.json of make_tokenizer.py, DIR of --out has checkpoint.pt of train.py. Needs PyTorch and the
gguf package; the gguf package (github.com/ggml-org/llama.cpp, gguf-py) rounds to Q8_0.
"""

import argparse
import json
import pathlib

import gguf
import torch

NAME = "chord-stories-5M"
END_OF_TEXT, TURN_END = "<|endoftext|>", "<|im_end|>"
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TYPES = {
    "f32": (gguf.GGMLQuantizationType.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}


def add_tokenizer(writer, path):
    tokenizer = json.loads(path.read_text(encoding="utf-8"))
    vocab = sorted(tokenizer["model"]["vocab"].items(), key=lambda item: item[1])
    special = {token["content"] for token in tokenizer["added_tokens"]}
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    ids = dict(vocab)
    assert [index for _, index in vocab] == list(range(len(vocab)))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([token for token, _ in vocab])
    writer.add_token_types([control if token in special else normal for token, _ in vocab])
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(ids[END_OF_TEXT])
    writer.add_eos_token_id(ids[END_OF_TEXT])
    writer.add_eot_token_id(ids[TURN_END])
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)
    return len(vocab)


def add_shape(writer, shape):
    writer.add_name(NAME)
    writer.add_license("CC0-1.0")
    writer.add_vocab_size(shape["vocab"])
    writer.add_context_length(shape["context"])
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["ffn"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_rope_dimension_count(shape["width"] // shape["heads"])
    writer.add_rope_freq_base(shape["rope_base"])
    writer.add_layer_norm_rms_eps(shape["norm_eps"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--type", choices=TYPES, default="q8_0")
    parser.add_argument("file")
    options = parser.parse_args()

    kept = torch.load(options.out / "checkpoint.pt")
    matrix_type, file_type = TYPES[options.type]
    writer = gguf.GGUFWriter(options.file, "llama")
    add_shape(writer, kept["shape"])
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if add_tokenizer(writer, options.data / "tokenizer.json") != kept["shape"]["vocab"]:
        raise SystemExit("tokenizer.json and checkpoint.pt have different vocabularies")
    for name, weight in kept["model"].items():
        values = weight.float().numpy()
        kind = matrix_type if values.ndim == 2 else gguf.GGMLQuantizationType.F32
        writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    main()
