"""Names and types of entities, by their ids."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from stupid_dagster.compute import words
from stupid_dagster.event_model import EventModel

UNNAMED = "unnamed"
_NAMING = ("name", "title", "label")


def entity_names(
    nodes: pl.DataFrame | None, model: EventModel, entities: list[str]
) -> dict[str, str]:
    """Return the name of each entity: fit for a sentence, and never empty.

    A name is the first property that says so (its last word is name, title or label); for a
    hashed key, which says nothing, the first property; else the key.
    """
    names = {entity: entity.partition(":")[2] for entity in entities}
    if nodes is not None:
        for node in nodes.filter(pl.col("entity_id").is_in(entities)).iter_rows(named=True):
            own = own_name(model, node["type"], node.get("properties") or {})
            names[node["entity_id"]] = own or node["key"]
    return {entity: words.tidy(name) or UNNAMED for entity, name in names.items()}


def own_name(
    model: EventModel, entity_type: str, properties: Mapping[str, str | None]
) -> str | None:
    """Return the name that an entity's properties give it, fit for a sentence; None for none."""
    naming = naming_property(model, entity_type) if entity_type in model.entities else None
    return words.tidy(properties.get(naming or "") or "") or None


def naming_property(model: EventModel, entity_type: str) -> str | None:
    """Return the property that names an entity type's entities, None where none does."""
    rule = model.entities[entity_type]
    for name in rule.properties:
        if words.humanise(name).split()[-1] in _NAMING:
            return name
    return rule.properties[0] if rule.normalise == "hash" and rule.properties else None


def naming_properties(model: EventModel, entity_type: str) -> tuple[str, ...]:
    """Return all properties that name an entity type's entities: first_name, surname, title."""
    rule = model.entities[entity_type]
    telling = (naming_property(model, entity_type),)
    return tuple(
        name
        for name in rule.properties
        if name in telling or words.humanise(name).split()[-1].endswith(_NAMING)
    )


def type_of(entity: str, model: EventModel) -> str:
    """Return the entity type that an id's prefix stands for; the prefix if none does."""
    prefix = entity.partition(":")[0]
    return next((t for t, rule in model.entities.items() if rule.prefix == prefix), prefix)
