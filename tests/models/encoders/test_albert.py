"""What is ALBERT's own: the sizes of the paper's table 1 to the parameter, and layers that are the same tensors."""

import pytest
import torch

from daguan.models.encoders.albert import albert_config
from daguan.models.encoders.loading import MaskedLm
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.pretraining_heads import SentenceLm

VOCABULARY = 30000  # of the paper


def size(layers: int, hidden: int, heads: int, **more: int) -> EncoderSettings:
    return EncoderSettings(layers=layers, hidden=hidden, heads=heads, feed_forward=4 * hidden, max_length=512, **more)


def parameters(settings: EncoderSettings) -> int:
    """Counts the parameters of the encoder with its pooler, as the paper does; on the meta device."""
    from transformers import AlbertModel

    with torch.device("meta"):
        model = AlbertModel(albert_config(settings, VOCABULARY))
    return sum(weight.numel() for weight in model.parameters())


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (size(12, 768, 12), 11_683_584),
        (size(24, 1024, 16), 17_683_968),
        (size(24, 2048, 16), 58_724_864),
        (size(12, 4096, 64), 222_595_584),
        (size(12, 768, 12, embedding_size=64), 9_681_408),
        (size(12, 768, 12, embedding_size=256), 15_687_936),
        (size(12, 768, 12, groups=12), 89_650_176),
    ],
)
def test_the_sizes_are_those_of_the_paper_to_the_parameter(settings, expected):
    assert parameters(settings) == expected


@pytest.mark.parametrize(("width", "shared", "unshared"), [(64, 10, 87), (128, 12, 89), (256, 16, 93), (768, 31, 108)])
def test_the_sizes_of_table_3(width, shared, unshared):
    """To the million that the paper gives; as wide as the layers, its embeddings have no map to them."""
    assert parameters(size(12, 768, 12, embedding_size=width)) / 1e6 == pytest.approx(shared, rel=0.035)
    assert parameters(size(12, 768, 12, embedding_size=width, groups=12)) / 1e6 == pytest.approx(unshared, rel=0.02)


def test_the_heads_of_pretraining_add_what_the_formulas_say():
    """H·E + E + 2E + V for masked tokens, and 2H + 2 above the pooler for the order of sentences."""
    with torch.device("meta"):
        lm = SentenceLm(MaskedLm("albert", size(12, 768, 12), VOCABULARY))
    parts = lm.lm.model, lm.lm.model.albert, lm.classifier
    whole, body, order = (sum(weight.numel() for weight in part.parameters()) for part in parts)
    assert (whole - body, order) == (128_688, 1_538)


@pytest.mark.parametrize(("groups", "expected"), [(1, [0] * 4), (2, [0, 0, 1, 1]), (4, [0, 1, 2, 3])])
def test_layers_of_a_group_are_the_same_tensors(groups, expected):
    """Seen as they are used: the matrices that four layers read in a forward pass."""
    settings = EncoderSettings(layers=4, hidden=16, heads=2, feed_forward=32, max_length=32, groups=groups)
    albert = MaskedLm("albert", settings, 60).model.albert
    read: list[int] = []
    for module in albert.modules():
        if type(module).__name__ == "AlbertAttention":
            module.register_forward_pre_hook(lambda attention, _: read.append(attention.query.weight.data_ptr()))
    albert(torch.randint(5, 60, (1, 8)))
    assert [list(dict.fromkeys(read)).index(pointer) for pointer in read] == expected
