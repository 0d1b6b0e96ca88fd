"""Estimates the memory and the disk that the work of members needs."""

from __future__ import annotations

from dataclasses import dataclass

from daguan.data.text_index import MOST_TOKENS
from daguan.families.member import MemberSettings
from daguan.models.encoders.table import ENCODERS
from daguan.pipeline.budget.estimates import PROCESS, TRAINED_TOKEN, Sizes, is_baseline
from daguan.pipeline.settings import Settings
from daguan.training.operations import encoder_weights

PREPARE, PREPARE_TOKEN, READ_TOKEN = 400e6, 1.5, 100  # bytes: libraries; a token of the text; of a labelled line
TRAINED = 16  # bytes of a parameter in training: itself, its gradient, two moments
AVERAGE = 4  # bytes of a parameter's average, in fine-tuning
LAYER = 100  # bytes in training for each token, layer and unit of its width, in float32; half of them in bf16
WEIGHT = 4  # bytes of a parameter in a file
TAGS = 4  # of BIOES, for each type; and one for outside
MARGINAL = 2  # bytes of a tag's probability
NGRAM_TOKEN = 50  # bytes of an n-gram CRF's model for each token, after 20 iterations; 3 after 100, as weights vanish
TEXT_TOKEN = 5  # bytes of a token in a text file
INDEX = 100  # bytes of a token of the text that the stack looks strings up in


@dataclass(frozen=True)
class Need:
    """What a stage needs.

    Attributes:
        memory: bytes of all its processes together.
        gpu_memory: bytes of one GPU; 0 where none is used.
        disk: bytes that stay in the work folder.
    """

    memory: float = 0.0
    gpu_memory: float = 0.0
    disk: float = 0.0


def entries_of(settings: Settings, entries: int) -> int:
    """Returns the entries of a vocabulary, of which there are that number without a limit."""
    return min(entries, settings.vocabulary.max_size or entries)


def parameters(config: MemberSettings, entries: int) -> int:
    """Returns about how many parameters the encoder of a member has."""
    width = config.encoder.embedding_size or config.encoder.hidden
    return entries * width + encoder_weights(config.encoder) + config.encoder.ngram_buckets * config.encoder.ngram_size


def preparing(sizes: Sizes, entries: int) -> Need:
    text = sizes.text_tokens
    memory = PREPARE + PREPARE_TOKEN * text + READ_TOKEN * (sizes.tokens + sizes.test_tokens)
    return Need(memory, 0.0, text * (2 if entries <= 1 << 16 else 4))


def pretraining(settings: Settings, member: str, entries: int, gpu: bool) -> Need:
    """Returns what the pretraining of a member's encoder needs, or its token vectors."""
    config = settings.member(member)
    weights = parameters(config, entries)
    if not ENCODERS[config.model.encoder].pretrained:
        return Need(PROCESS + 2 * WEIGHT * weights, 0.0, WEIGHT * weights)
    tokens = config.pretrain.batch_size * config.encoder.max_length
    return _trained(settings, config, TRAINED * weights, tokens, gpu, WEIGHT * weights)


def fold(settings: Settings, member: str, sizes: Sizes, entries: int, gpu: bool) -> Need:
    """Returns what one fold of a member needs."""
    config = settings.member(member)
    marginals = MARGINAL * (TAGS * sizes.types + 1) * (sizes.tokens / sizes.folds + sizes.test_tokens)
    if is_baseline(settings, member):
        need = PROCESS + TRAINED_TOKEN * sizes.fold_tokens
        return Need(need, 0.0, NGRAM_TOKEN * sizes.fold_tokens + marginals)
    weights = parameters(config, entries) + config.model.ngram_buckets * (TAGS * sizes.types + 1)
    longest = min(config.encoder.max_length, 2 * sizes.tokens // max(1, sizes.lines))
    disk = WEIGHT * weights + marginals
    return _trained(settings, config, (TRAINED + AVERAGE) * weights, config.train.batch_size * longest, gpu, disk)


def blending(settings: Settings, sizes: Sizes) -> Need:
    tokens = sizes.tokens + sizes.test_tokens
    each = 2 * WEIGHT * (TAGS * sizes.types + 1) * (len(settings.members) + 1)
    text = TEXT_TOKEN * sizes.test_tokens * (len(settings.members) + 2)
    return Need(PROCESS + each * tokens + READ_TOKEN * tokens + INDEX * min(MOST_TOKENS, sizes.text_tokens), 0.0, text)


def submitting(sizes: Sizes) -> Need:
    return Need(PREPARE + READ_TOKEN * sizes.test_tokens, 0.0, TEXT_TOKEN * sizes.test_tokens)


def _trained(settings: Settings, config: MemberSettings, model: float, tokens: float, gpu: bool, disk: float) -> Need:
    """Returns what training needs of a model of that number of bytes, with that number of tokens in a batch."""
    share = 0.5 if settings.engine.precision == "bf16" or (gpu and settings.engine.precision == "auto") else 1.0
    batch = share * LAYER * config.encoder.hidden * config.encoder.layers * tokens
    return Need(PROCESS, model + batch, disk) if gpu else Need(PROCESS + model + batch, 0.0, disk)
