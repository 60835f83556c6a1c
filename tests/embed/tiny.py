"""ONNX models of a few tokens whose right answers NumPy knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "red", "green", "blue", "dark")
TABLE = np.random.default_rng(3).normal(size=(len(WORDS), 5)).astype(np.float32)


def token_ids(text: str) -> list[int]:
    """Return the ids of `text` with both markers."""
    words = [word if word in WORDS else "[UNK]" for word in text.split()]
    return [WORDS.index(word) for word in ("[CLS]", *words, "[SEP]")]


def write_tokenizer(folder: Path) -> None:
    """Write a word-level tokenizer that pads and cuts to 4 tokens, as training left many files."""
    vocabulary = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=4)
    tokenizer.enable_truncation(4)
    tokenizer.save(str(folder / "tokenizer.json"))


def write_model(
    folder: Path,
    inputs: tuple[str, ...] = ("input_ids", "attention_mask", "token_type_ids"),
    integers: int = TensorProto.INT64,
    table: np.ndarray = TABLE,
) -> Path:
    """Write a model and tokenizer and return `folder`.

    Outputs: `states` [batch, tokens, 5], a token's row of `table`; `last` [batch, 5], the row of
    the batch's last column; `ids` [batch], of no use as an embedding.
    """
    folder.mkdir(parents=True, exist_ok=True)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["states"]),
        helper.make_node("Gather", ["states", "end"], ["last"], axis=1),
        helper.make_node("Gather", ["input_ids", "end"], ["ids"], axis=1),
    ]
    states = ["batch", "tokens", table.shape[1]]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, integers, ["batch", "tokens"]) for name in inputs],
        [
            helper.make_tensor_value_info("states", TensorProto.FLOAT, states),
            helper.make_tensor_value_info("last", TensorProto.FLOAT, ["batch", None]),
            helper.make_tensor_value_info("ids", integers, ["batch"]),
        ],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array(-1, np.int64), "end"),
        ],
    )
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.save(model, str(folder / "model.onnx"))
    write_tokenizer(folder)
    return folder
