"""Any encoder with a masked-LM head that transformers knows, from a checkpoint: DistilBERT, XLM-RoBERTa, DeBERTa,
ModernBERT … This module finds out from the model how the types differ, so that no type needs a file of its own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutput

from daguan.data.vocabulary import CLS, SEP, UNK
from daguan.models.encoders.architecture import Architecture, Depth
from daguan.models.encoders.bert import choose_bert_attention
from daguan.models.encoders.settings import EncoderSettings
from daguan.nn.dropouts import set_every_dropout


def not_new(settings: EncoderSettings, vocabulary_size: int) -> Any:
    raise AssertionError("only a checkpoint says which encoder to build")


def project_by_itself(model: Any, hidden: Tensor) -> Tensor:
    """Return logits (N,V) of hidden states (N,H). Each type calls its head in its own way, so the whole model runs,
    with an encoder that returns these states."""
    encoder = model.base_model
    encoder.forward = lambda *_, **__: BaseModelOutput(last_hidden_state=hidden.unsqueeze(0))
    try:
        logits: Tensor = model().logits
    finally:
        del encoder.forward  # so that the method of its class is called again
    return logits.squeeze(0)


def choose_attention(model: Any, device: torch.device) -> None:
    """Choose as for BERT on a CPU; elsewhere keep the choice of transformers, as not every type has every kind."""
    if device.type == "cpu":
        choose_bert_attention(model, device)


def count_padding(model: Any) -> None:
    """Let positions start after the padding token of the configuration; MPNet's code assumes that of its release."""
    for module in model.modules():
        if getattr(module, "padding_idx", None) is not None:
            module.padding_idx = model.config.pad_token_id


def depth_by_running(model: Any) -> Depth:
    """Returns as layer i the i-th item of every outermost list of modules that is as long as the configuration has
    layers, and above them the modules that first run after the last layer."""
    nested = {inner for outer in _lists(model) for item in outer for inner in _lists(item)}
    lists = [found for found in _lists(model) if found not in nested and len(found) == model.config.num_hidden_layers]
    layers = [*zip(*lists, strict=True)]
    inside = {module for items in layers for item in items for module in item.modules()}
    order = _order_of_modules(model)
    last = max((place for place, module in enumerate(order) if module in inside), default=len(order))
    return Depth(layers, order[last + 1 :])


def _lists(model: nn.Module) -> list[nn.ModuleList]:
    return [module for module in model.modules() if isinstance(module, nn.ModuleList)]


@torch.no_grad()
def _order_of_modules(model: Any) -> list[nn.Module]:
    """Returns the modules with parameters of their own, each once, in the order in which they run."""
    order: dict[nn.Module, None] = {}
    own = [module for module in model.modules() if any(True for _ in module.parameters(recurse=False))]
    hooks = [module.register_forward_hook(lambda module, *_: order.setdefault(module)) for module in own]
    training = model.training
    model.eval()(torch.tensor([[CLS, UNK, SEP]], device=model.device))
    model.train(training)
    for hook in hooks:
        hook.remove()
    return list(order)


AUTO = Architecture(
    new=not_new,
    set_dropout=set_every_dropout,
    depth=depth_by_running,
    project=project_by_itself,
    choose_attention=choose_attention,
    complete=count_padding,
)
