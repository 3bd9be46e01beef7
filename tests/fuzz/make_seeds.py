"""Writes the seed corpora, one folder a target: valid files, so that fuzzing starts behind the first checks.

make_seeds.py [FOLDER]     default: seeds/ beside this file. Files called found-* came from the fuzzers and are kept."""

import json
import struct
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "seeds"
MARK = b"\xfa\xfb\xfc"


def put(target: str, name: str, content: bytes | str) -> None:
    folder = OUT / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def safetensors(tensors: dict[str, tuple[str, list[int], bytes]], metadata: dict[str, str] | None = None) -> bytes:
    header: dict = {"__metadata__": metadata} if metadata else {}
    data = b""
    for name, (dtype, shape, content) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header, separators=(",", ":"))
    text += " " * (-(8 + len(text)) % 64)
    return struct.pack("<Q", len(text)) + text.encode() + data


def manifest(config: str, files: list[str]) -> str:
    entries = {name: {"bytes": 0, "crc32c": "00000000", "tensors_crc32c": {"w": "0123abcd"}} for name in files}
    return json.dumps(
        {
            "format": "weightscope-checkpoint",
            "version": 1,
            "step": 600,
            "seed": 1337,
            "tokens": 1.5e6,
            "epoch": 0.25,
            "wall_time": 12.5,
            "world_size": 2,
            "config_fingerprint": "0badcafe",
            "config": config,
            "tokenizer": '{"tokenizer": "byte"}',
            "files": entries,
            "manifest_crc32c": "00000000",
        }
    )


for path in sorted((ROOT / "configs").glob("*.yaml")):
    if not path.name.startswith("sweep-"):
        put("config", path.name, path.read_text())
put("config", "empty", "")
put("config", "overrides", "train: {steps: 5}\x1ftrain.steps=7\x1foptimizer.betas=[0.5, 0.6]\x1foutput=runs/${seed}")
put("config", "epochs", "monitor: {every: {epochs: 0.5}, early: none, alarms: [nonfinite]}\nschedule: {name: wsd}\n")
put("config", "alarms", "monitor: {alarms: [loss_spike, {rule: update_ratio, low: 1e-9, action: stop}]}\n")
put("config", "rules", "init:\n  rules:\n    - {match: 'h.*.c_proj.weight', scheme: normal, std: 4.0e-3}\n")
put("config", "texts", 'output: "a \\"b\\" \\\\ \\u00e9"\ndata: {train: ${env:FUZZ_PLAIN}/x, val: "${env:NO:-y}"}\n')
put("config", "mup", "model: {width: 64, heads: 4, mup_base_width: 32, mup_base_head_width: 8}\ninit: {scheme: mup}\n")
put("config", "nasty", "output: ${env:FUZZ_NASTY}\n")
put("config", "nested", "output: ${env:FUZZ_NESTED}\n")
put("config", "words", "data: {train: 'Null', val: 'NULL'}\ninit: {from: '~'}\n")
put("config", "block", "name: |\n  text\ndata:\n  train: >-\n    folded\n    text\n")
put("config", "refused", "a: &x 1\nb: *x\n<<: {c: !!int 3}\n? [1]\n: 2\n")

weights = struct.pack("<6f", 1.5, -0.0, float("inf"), 1e-42, 5, 6)
sample = safetensors(
    {
        "c": ("F64", [], struct.pack("<d", 0.5)),
        "h.0.attn.c_attn.weight": ("F32", [2, 3], weights),
        "ids": ("U16", [3], b"\1\0\2\0\3\0"),
        "half": ("BF16", [1], b"\0\x3f"),
        "empty": ("I64", [0, 7], b""),
    },
    {"format": "pt"},
)
put("safetensors", "all-types", sample)
put("safetensors", "unsupported", safetensors({"w": ("F32", [1], b"\0" * 4), "mask": ("BOOL", [4], b"\1" * 4)}))
put("safetensors", "empty", safetensors({}))
put("safetensors", "truncated", b"\x7f" + sample[1:-4])
put("safetensors", "two", safetensors({"a": ("F32", [1], b"\0" * 4), "b": ("F32", [1], b"\1" * 4)}))
one = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[%s]}}'
put("safetensors", "shape", b"\0" * 8 + (one % "4,8").replace("[1]", "[3]").encode() + b"\0" * 8)
for name, offsets in (("overlap", "0,4"), ("gap", "8,12"), ("outside", "4,9000000"), ("backwards", "8,4")):
    put("safetensors", name, b"\0" * 8 + (one % offsets).encode() + b"\0" * 8)

header = struct.pack("<3i", 20240520, 1, 4).ljust(1024, b"\0")
put("tokens", "header", b"\x10" + header + struct.pack("<4H", 0, 1, 255, 65535))
put("tokens", "version-2", b"\x10" + struct.pack("<3i", 20240520, 2, 1).ljust(1024, b"\0") + b"\1\0")
put("tokens", "headerless", b"\x01" + b'{"vocab_size": 256}' + b"\xff" + struct.pack("<4H", 0, 1, 2, 3))
put("tokens", "no-meta", b"\x00" + struct.pack("<8H", *range(8)))

config = "name: run\nmodel: {layers: 1, heads: 1, width: 8}\n"
both = ["model.safetensors", "optimizer.safetensors"]
put("manifest", "both-files", manifest(config, both))
put("manifest", "model-only", manifest("", both[:1]))
put("manifest", "own-checksum", manifest("", []).replace('"00000000"}', '"keep"}'))

model = safetensors({"w": ("F32", [2, 3], weights)}, {"format": "pt"})
moments = safetensors({"exp_avg.w": ("F32", [2, 3], weights), "exp_avg_sq.w": ("F32", [2, 3], weights)})
put("checkpoint", "both-files", b"\0" + manifest(config, both).encode() + MARK + model + MARK + moments)
put("checkpoint", "model-only", b"\0" + manifest(config, both[:1]).encode() + MARK + model)
put("checkpoint", "bad-checksums", b"\1" + manifest(config, both).encode() + MARK + model + MARK + moments)

for folder in ("tiny_gelu_new", "seq_small"):
    put("hf_config", folder, (ROOT / "tests/oracle" / folder / "config.json").read_bytes())
put(
    "hf_config",
    "gpt_neox",
    '{"model_type":"gpt_neox","num_hidden_layers":1,"num_attention_heads":1,"hidden_size":8,"intermediate_size":32,'
    '"vocab_size":9,"max_position_embeddings":4,"tie_word_embeddings":false,"attention_bias":true}',
)
put("hf_config", "short", '{"n_layer":1,"n_head":1,"n_embd":8,"n_positions":4,"vocab_size":9,"n_inner":null}')
put(
    "hf_config",
    "all-keys",
    '{"model_type":"gpt2","n_layer":2,"n_head":2,"n_embd":8,"n_positions":4,"vocab_size":9,"n_inner":32,'
    '"activation_function":"gelu","scale_attn_by_inverse_layer_idx":false,"layer_norm_epsilon":1e-5,'
    '"tie_word_embeddings":false}',
)
