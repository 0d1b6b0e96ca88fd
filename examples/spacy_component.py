"""A spaCy component over a model that `daguan export` wrote, without daguan.

    import spacy
    import spacy_component  # this file, beside exported.py

    nlp = spacy.blank("xx")
    nlp.add_pipe("daguan", config={"folder": "FOLDER"})
    print(nlp(spacy.tokens.Doc(nlp.vocab, words=["7", "8", "9"])).ents)  # or nlp(TEXT), by spaCy's own tokens

`nlp.to_disk` stores the path of FOLDER, not the model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from spacy.language import Language
from spacy.tokens import Doc, Span
from spacy.util import minibatch

from exported import Exported, load

Span.set_extension("probability", default=None, force=True)


@Language.factory("daguan", default_config={"threads": 1}, assigns=["doc.ents", "span._.probability"])
def new_component(nlp: Language, name: str, folder: str, threads: int) -> Component:
    """Returns the component of an exported model."""
    return Component(load(folder, threads))


class Component:
    """Sets the entities of documents; tokens of white space alone are not read."""

    def __init__(self, model: Exported) -> None:
        self.model = model

    def __call__(self, doc: Doc) -> Doc:
        return next(self.pipe([doc]))

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 128) -> Iterator[Doc]:
        """Gives the documents with their entities, a batch at a time."""
        for docs in minibatch(stream, batch_size):
            yield from self._labelled([*docs])

    def _labelled(self, docs: Sequence[Doc]) -> Sequence[Doc]:
        read = [[token for token in doc if not token.is_space] for doc in docs]
        answers = self.model.spans([[token.text for token in tokens] for tokens in read])
        for doc, tokens, found in zip(docs, read, answers, strict=True):
            spans = [Span(doc, tokens[one.start].i, tokens[one.stop - 1].i + 1, one.label) for one in found]
            for span, one in zip(spans, found, strict=True):
                span._.probability = one.probability
            doc.ents = spans
        return docs
