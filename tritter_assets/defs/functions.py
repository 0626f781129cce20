"""functions/* and synthetic/<generator>: rows derived from filtered documents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritter_assets.dedup.index import ShardInput
from tritter_assets.defs.audit import license_audit_check
from tritter_assets.defs.stage import Group, Platform, Stage, Step
from tritter_assets.functions import extract, interop
from tritter_assets.functions.shards import empty_left_sources
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.synthetic.registry import GENERATORS


def function_stages(base: Platform) -> Iterable[Stage]:
    """Declares one asset per language that some active source holds."""
    active = base.catalog.active_sources()
    for language in extract.LANGUAGES:
        sources = [c for c in active if language in c.languages]
        if not sources:
            continue
        yield Stage(
            key=f"functions/{language}",
            group=Group.FUNCTIONS,
            description=(
                f"Functions of {language} documents with their documentation, cut out by grammar."
            ),
            code_version=extract.code_version(language),
            work=_extract(language, tuple(c.id for c in sources)),
            deps=tuple(f"filtered/{c.id}" for c in sources),
            inner_shards=_filtered_shards(tuple(c.id for c in sources)),
            schema=extract.FUNCTION_SCHEMA,
            kinds=frozenset({"delta", "treesitter"}),
            checks=(license_audit_check(f"functions/{language}"),),
        )


def interop_stages(base: Platform) -> Iterable[Stage]:
    """Declares the pairs of Rust and Python, if an active source has both through PyO3."""
    sources = tuple(
        contract.id
        for contract in base.catalog.active_sources()
        if interop.TAGS & set(contract.tags) and {"rust", "python"} <= set(contract.languages)
    )
    if not sources:
        return
    yield Stage(
        key=interop.TABLE,
        group=Group.FUNCTIONS,
        description="What PyO3 hands from Rust to Python, each with the Python that calls it.",
        code_version=interop.code_version(),
        work=_pair_interop(sources),
        deps=tuple(f"filtered/{source}" for source in sources),
        inner_shards=_filtered_shards(sources),
        schema=extract.FUNCTION_SCHEMA,
        kinds=frozenset({"delta", "treesitter"}),
        checks=(license_audit_check(interop.TABLE),),
    )


def synthetic_stages(base: Platform, available: frozenset[str]) -> Iterable[Stage]:
    """Declares the generators whose inputs exist; `available` holds the keys of other stages."""
    for generator in GENERATORS.values():
        sources = tuple(
            c.id for c in base.catalog.active_sources() if generator.reads(c.languages, c.tags)
        )
        # Only tables of sources it can read: `filtered/*` is every source of its languages.
        wanted = {
            name
            for table in generator.inputs
            for name in (
                [f"filtered/{source}" for source in sources] if table == "filtered/*" else [table]
            )
        }
        deps = tuple(sorted(wanted & available))
        if not deps:
            continue
        yield Stage(
            key=f"synthetic/{generator.name}",
            group=Group.SYNTHETIC,
            description=generator.description,
            code_version=generator.code_version(),
            work=_generate(generator, sources),
            deps=deps,
            inner_shards=_filtered_shards(sources),
            schema=DOCUMENT_SCHEMA,
            checks=(license_audit_check(f"synthetic/{generator.name}"),),
        )


def _extract(language: str, sources: tuple[str, ...]) -> Any:
    def work(step: Step) -> Any:
        _empty_left(step, f"functions/{language}", extract.FUNCTION_SCHEMA)
        return extract.extract_functions(
            step.lake,
            language,
            _filtered_shards(sources)(step.platform),
            fingerprint_of_shard=step.shard_fingerprint,
        )

    return work


def _pair_interop(sources: tuple[str, ...]) -> Any:
    def work(step: Step) -> Any:
        _empty_left(step, interop.TABLE, extract.FUNCTION_SCHEMA)
        return interop.pair_interop(
            step.lake,
            _filtered_shards(sources)(step.platform),
            fingerprint_of_shard=step.shard_fingerprint,
        )

    return work


def _empty_left(step: Step, table: str, schema: Any) -> None:
    empty_left_sources(step.lake, table, schema, step.platform.catalog.open_sources())


def _generate(generator: Any, sources: tuple[str, ...]) -> Any:
    def work(step: Step) -> Any:
        _empty_left(step, f"synthetic/{generator.name}", DOCUMENT_SCHEMA)
        return generator.generate(
            step.lake,
            _filtered_shards(sources)(step.platform),
            fingerprint_of_shard=step.shard_fingerprint,
        )

    return work


def _filtered_shards(sources: tuple[str, ...]) -> Any:
    def shards(platform: Platform) -> tuple[ShardInput, ...]:
        return tuple(
            ShardInput(source=contract.id, shard=shard, priority=contract.priority)
            for contract in platform.catalog.active_sources()
            if contract.id in sources
            for shard in contract.shards
            if platform.lake.state(f"filtered/{contract.id}", {"shard": shard}) is not None
        )

    return shards
