"""Every generator by name: the asset graph is made from this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from tritter_assets.dedup.index import ShardInput
from tritter_assets.lake import Lake
from tritter_assets.synthetic import call_graph, class_diagram, docstring_instruct, mutation_pairs
from tritter_assets.synthetic.shards import SyntheticReport


class Generate(Protocol):
    """The one verb of a generator."""

    def __call__(
        self,
        lake: Lake,
        inputs: Sequence[ShardInput],
        *,
        fingerprint_of_shard: Callable[[ShardInput], str],
    ) -> SyntheticReport:
        """Writes `synthetic/<name>` for every shard that is not fresh."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Generator:
    """One way to make rows from rows."""

    name: str
    description: str
    inputs: tuple[str, ...]
    """Lake tables it reads; `filtered/*` stands for every filtered source."""
    languages: tuple[str, ...]
    """Languages it understands."""
    generate: Generate
    code_version: Callable[[], str]


GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {
        generator.name: generator
        for generator in (
            Generator(
                name=docstring_instruct.NAME,
                description="Instructions made from functions and their authors' documentation.",
                inputs=tuple(f"functions/{name}" for name in docstring_instruct.LANGUAGES),
                languages=docstring_instruct.LANGUAGES,
                generate=docstring_instruct.generate_docstring_instruct,
                code_version=docstring_instruct.code_version,
            ),
            Generator(
                name=mutation_pairs.NAME,
                description="Preference pairs: a function as written against one seeded fault.",
                inputs=tuple(f"functions/{name}" for name in mutation_pairs.LANGUAGES),
                languages=mutation_pairs.LANGUAGES,
                generate=mutation_pairs.generate_mutation_pairs,
                code_version=mutation_pairs.code_version,
            ),
            Generator(
                name=class_diagram.NAME,
                description="Code and the Mermaid class diagram of its classes.",
                inputs=("filtered/*",),
                languages=class_diagram.classes.LANGUAGES,
                generate=class_diagram.generate_class_diagram,
                code_version=class_diagram.code_version,
            ),
            Generator(
                name=call_graph.NAME,
                description="Code and which of its functions call which.",
                inputs=("filtered/*",),
                languages=call_graph.LANGUAGES,
                generate=call_graph.generate_call_graph,
                code_version=call_graph.code_version,
            ),
        )
    }
)
