"""Small AST with random weights, in the form in which the Hub has the published ones."""

from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import ASTConfig, ASTFeatureExtractor, ASTForAudioClassification

from models.catalogue import Published
from models.labels import audioset_classes

WIDTH = 48


def save_small_ast(folder: Path, entry: Published, classes: Sequence[str] = ()) -> Path:
    """Write a repository that passes for a published checkpoint, with AudioSet's classes or others; return its folder."""
    torch.manual_seed(0)
    labels = dict(enumerate(classes or (each.name for each in audioset_classes())))
    config = ASTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=4 * WIDTH,
        id2label=labels,
        label2id={name: number for number, name in labels.items()},
        frequency_stride=entry.fstride,
        time_stride=entry.tstride,
        max_length=entry.rows,
        problem_type="multi_label_classification",
    )
    ASTForAudioClassification(config).save_pretrained(folder)
    ASTFeatureExtractor(max_length=entry.rows).save_pretrained(folder)
    return folder
