"""The settings of the machine: device, precision, processes and threads."""

from __future__ import annotations

from daguan.core.needs import Need
from daguan.core.settings import Section, setting

PRECISIONS = ("auto", "bf16", "float32")


class EngineSettings(Section):
    """The machine: device, precision, and how the cores are shared. Workers and threads change results by rounding."""

    device: str = setting("auto", "auto, cpu, cuda, cuda:1 and so on.")
    precision: str = setting(
        "auto", "bf16 (autocast), float32, or auto: the faster one on the machine.", choices=PRECISIONS
    )
    devices: int = setting(
        1,
        "Devices that train one encoder or one fold of a tagger together, a process each; on a CPU these share its "
        "cores. They divide the blocks of an update of pretraining, and the batches of one of fine-tuning "
        "(train.accumulation), and change results by rounding.",
        ge=1,
    )
    shard: bool = setting(
        False,
        "Whether each of these devices keeps only a share of the weights, their gradients and the optimiser's state "
        "(FSDP2), for encoders that one device can apply but not train.",
        reads_when=Need("engine.devices is over 1", lambda whole: whole.engine.devices > 1),
    )
    kind: str = setting("local", "Where jobs run: local, or ray, a Ray cluster (docs/scale.md).")
    address: str = setting(
        "auto",
        "HOST:PORT of the Ray cluster; auto: the one that RAY_ADDRESS names or that runs on this machine.",
    )
    memory: float = setting(2.0, "GB of memory that each job reserves on a Ray cluster.", ge=0)
    workers: int = setting(0, "Jobs at a time, a fold each; 0: as many as the cores or the GPUs allow.", ge=0)
    threads: int = setting(0, "Threads of each process; 0 divides the cores among the workers.", ge=0)
    tensorboard: bool = setting(
        False,
        "Whether jobs also write their curves for TensorBoard: `tensorboard --logdir data/work`. It needs "
        "`pip install 'daguan[tensorboard]'`.",
    )
