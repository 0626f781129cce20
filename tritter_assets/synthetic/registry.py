"""Every generator by name: the asset graph is made from this table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from tritter_assets.dedup.index import ShardInput
from tritter_assets.functions.shards import FingerprintOfShard
from tritter_assets.lake import Lake
from tritter_assets.record import Modality
from tritter_assets.synthetic import (
    call_graph,
    class_diagram,
    commit_pairs,
    docs_pairs,
    docstring_instruct,
    mutation_pairs,
    safety_pairs,
    style_pairs,
)
from tritter_assets.synthetic.shards import (
    MakeRows,
    Parents,
    SyntheticReport,
    document_parents,
    function_parents,
    write_synthetic,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Generator:
    """One way to make rows from rows."""

    name: str
    description: str
    inputs: tuple[str, ...]
    """Lake tables it reads; `filtered/*` stands for every filtered source."""
    languages: tuple[str, ...]
    """Languages it understands."""
    make_rows: MakeRows
    parents: Parents
    code_version: Callable[[], str]
    tags: frozenset[str] = field(default_factory=frozenset)
    """Only sources whose contract carries one of these; empty means any source."""

    def reads(self, languages: Sequence[str], tags: Sequence[str]) -> bool:
        """True when a source of these languages and tags may hold parents."""
        return bool(set(self.languages) & set(languages)) and (
            not self.tags or bool(self.tags & set(tags))
        )

    def generate(
        self,
        lake: Lake,
        inputs: Sequence[ShardInput],
        *,
        fingerprint_of_shard: FingerprintOfShard,
    ) -> SyntheticReport:
        """Writes `synthetic/<name>` for every shard that is not fresh."""
        return write_synthetic(
            lake,
            self.name,
            inputs,
            make_rows=self.make_rows,
            parents=self.parents,
            fingerprint_of_shard=fingerprint_of_shard,
        )


def _functions(languages: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"functions/{language}" for language in languages)


GENERATORS: Mapping[str, Generator] = MappingProxyType(
    {
        generator.name: generator
        for generator in (
            Generator(
                name=docstring_instruct.NAME,
                description="Instructions made from functions and their authors' documentation.",
                inputs=_functions(docstring_instruct.LANGUAGES),
                languages=docstring_instruct.LANGUAGES,
                make_rows=docstring_instruct.make_rows,
                parents=function_parents(*docstring_instruct.LANGUAGES),
                code_version=docstring_instruct.code_version,
            ),
            Generator(
                name=mutation_pairs.NAME,
                description="Preference pairs: a function as written against one seeded fault.",
                inputs=_functions(mutation_pairs.LANGUAGES),
                languages=mutation_pairs.LANGUAGES,
                make_rows=mutation_pairs.make_rows,
                parents=function_parents(*mutation_pairs.LANGUAGES),
                code_version=mutation_pairs.code_version,
            ),
            Generator(
                name=style_pairs.NAME,
                description="Preference pairs: a well-written function against it spoilt.",
                inputs=_functions(style_pairs.LANGUAGES),
                languages=style_pairs.LANGUAGES,
                make_rows=style_pairs.make_rows,
                parents=function_parents(
                    *style_pairs.LANGUAGES, worth_reading=style_pairs.worth_reading
                ),
                code_version=style_pairs.code_version,
            ),
            Generator(
                name=safety_pairs.NAME,
                description="Preference pairs: a safe call against its known unsafe form, by CWE.",
                inputs=_functions(safety_pairs.LANGUAGES),
                languages=safety_pairs.LANGUAGES,
                make_rows=safety_pairs.make_rows,
                parents=function_parents(
                    *safety_pairs.LANGUAGES, worth_reading=safety_pairs.worth_reading
                ),
                code_version=safety_pairs.code_version,
            ),
            Generator(
                name=commit_pairs.NAME,
                description="Preference pairs: a function after a fixing commit against before it.",
                inputs=("filtered/*",),
                languages=commit_pairs.LANGUAGES,
                tags=frozenset({commit_pairs.TAG}),
                make_rows=commit_pairs.make_rows,
                parents=document_parents(
                    *commit_pairs.LANGUAGES,
                    modality=Modality.INSTRUCTION,
                    columns=commit_pairs.COLUMNS,
                ),
                code_version=commit_pairs.code_version,
            ),
            Generator(
                name=docs_pairs.NAME,
                description="Preference pairs: the right passage of a document against a bad one.",
                inputs=("filtered/*",),
                languages=docs_pairs.LANGUAGES,
                make_rows=docs_pairs.make_rows,
                parents=document_parents(*docs_pairs.LANGUAGES, modality=Modality.TEXT),
                code_version=docs_pairs.code_version,
            ),
            Generator(
                name=class_diagram.NAME,
                description="Code and the Mermaid class diagram of its classes.",
                inputs=("filtered/*",),
                languages=class_diagram.classes.LANGUAGES,
                make_rows=class_diagram.make_rows,
                parents=document_parents(*class_diagram.classes.LANGUAGES),
                code_version=class_diagram.code_version,
            ),
            Generator(
                name=call_graph.NAME,
                description="Code and which of its functions call which.",
                inputs=("filtered/*",),
                languages=call_graph.LANGUAGES,
                make_rows=call_graph.make_rows,
                parents=document_parents(*call_graph.LANGUAGES),
                code_version=call_graph.code_version,
            ),
        )
    }
)
