"""How far a model of labelled records is believed when it finds labels. Left out: the rule (`model.labels`)."""

from __future__ import annotations

from dataclasses import replace

from unrolled.model.char_model import CharModel
from unrolled.model.folder import ModelParts
from unrolled.model.labels import READ, fitted_temperature
from unrolled.text.vocabulary import BOUNDARY, LABEL_END, Ids


def calibrated(model: ModelParts, validation: Ids) -> ModelParts:
    """`model` with the temperature that suits the labels of the records of `validation`, if records have labels."""
    reader = CharModel(model)
    if not reader.labels:
        return model
    *records, _ = model.vocabulary.decode(validation[:READ]).split(BOUNDARY)  # the last may be cut
    temperature = fitted_temperature(reader, reader.labels, [each.partition(LABEL_END)[::2] for each in records])
    return replace(model, training=model.training | {"label_temperature": temperature})
