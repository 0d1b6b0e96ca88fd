"""The settings of one member: all that decides what its models compute, and nothing of where or with whom they run."""

from __future__ import annotations

from daguan.core.read_settings import require_read
from daguan.core.settings import Section, require, section, setting
from daguan.data.augmentation import AugmentationSettings
from daguan.data.conflicts import ConflictSettings
from daguan.families.ngram_crf_settings import NgramCrfSettings
from daguan.families.pseudo_labels import PseudoLabelSettings
from daguan.families.soup_settings import SoupSettings
from daguan.families.table import FAMILIES
from daguan.models.encoders.settings import EncoderSettings
from daguan.models.encoders.table import ENCODERS, learns, objective_of
from daguan.models.settings import ModelSettings
from daguan.nn.tables import WITHOUT_MATRICES
from daguan.training.fine_tuning_settings import TrainSettings
from daguan.training.objectives.table import OBJECTIVES
from daguan.training.pretrain_settings import PretrainSettings
from daguan.training.token_vector_settings import VectorSettings


class MemberSettings(Section):
    """The settings of one member of the ensemble."""

    family: str = setting(
        "tagger", "Family of the members that set none and whose name is not a family's.", choices=FAMILIES
    )
    seed: int = setting(2019, "Seed of every named random stream.")
    updates: tuple[int, ...] = setting(
        (),
        "Updates of each fold, or iterations of an n-gram CRF, as a budget's plan fixes them; empty for what "
        "train.epochs or ngram_crf.iterations says.",
    )
    encoder: EncoderSettings = section(EncoderSettings)
    vectors: VectorSettings = section(VectorSettings)
    pretrain: PretrainSettings = section(PretrainSettings)
    conflicts: ConflictSettings = section(ConflictSettings)
    augmentation: AugmentationSettings = section(AugmentationSettings)
    pseudo_labels: PseudoLabelSettings = section(PseudoLabelSettings)
    model: ModelSettings = section(ModelSettings)
    train: TrainSettings = section(TrainSettings)
    ngram_crf: NgramCrfSettings = section(NgramCrfSettings)
    soup: SoupSettings = section(SoupSettings)

    @property
    def objective(self) -> str:
        """Returns the name of the objective that pretrains the encoder, if it is pretrained."""
        return objective_of(self.model.encoder, self.pretrain.objective)

    def check(self) -> None:
        require_read(self)
        self._require_possible()

    def _require_possible(self) -> None:
        """Raises ConfigError: the encoder cannot follow a setting. Better here than after hours of pretraining."""
        encoder, size = self.model.encoder, self.encoder
        row = ENCODERS[encoder]
        expected = f"a folder with model.encoder={encoder}, which is what a checkpoint holds"
        require("encoder.checkpoint", row.from_scratch or bool(size.checkpoint), expected, size.checkpoint)
        fits = not self.model.pieces or not size.counts
        require("encoder.counts", fits, "'' with model.pieces, which keep the checkpoint's own vocabulary", size.counts)
        layers = row.layers(size)
        fits = bool(size.checkpoint) or self.train.frozen_layers <= layers
        require("train.frozen_layers", fits, f"at most {layers}, the encoder's layers", self.train.frozen_layers)
        fits = row.for_muon or self.train.optimiser in WITHOUT_MATRICES
        expected = f"{' or '.join(WITHOUT_MATRICES)} with model.encoder={encoder}"
        require("train.optimiser", fits, expected, self.train.optimiser)
        fits = not self.pretrain.tokens or not row.pretrained or learns(encoder, self.objective)
        able = [name for name in OBJECTIVES if learns(encoder, name)]
        require("pretrain.objective", fits, f"{' or '.join(able)} with model.encoder={encoder}", self.objective)
        fits = not size.checkpoint or not OBJECTIVES[self.objective].generator  # sizes may differ from the generator's
        expected = f"{' or '.join(name for name in able if not OBJECTIVES[name].generator)} with encoder.checkpoint"
        require("pretrain.objective", fits, expected, self.objective)
