"""signatures/<source> and the global indexes: dedup/{exact,near,semantic}_index."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tritter_assets.cluster.index_update import IndexUpdate
from tritter_assets.contracts.source import SourceContract
from tritter_assets.dedup import exact, near, semantic, signatures
from tritter_assets.dedup.embeddings import PACKAGED, embedding_version
from tritter_assets.dedup.index import EXACT_INDEX, INDEX_SCHEMA, NEAR_INDEX
from tritter_assets.dedup.license_family import LicenseFamilies, families_of
from tritter_assets.defs.checks import no_source_wiped_out_check
from tritter_assets.defs.cluster import run_index_update, run_together
from tritter_assets.defs.dedup_report import dedup_report
from tritter_assets.defs.shards import signed_shards
from tritter_assets.defs.sources import source_facts, source_tags
from tritter_assets.defs.stage import Group, Platform, Stage, Step


def signatures_stage(contract: SourceContract, base: Platform) -> Stage:
    """Declares the MinHash signatures and content hashes of a source."""

    def work(step: Step) -> Any:
        assert step.shard is not None
        return signatures.sign_shard(
            step.lake, contract.id, step.shard, fingerprint=step.fingerprint
        )

    return Stage(
        key=f"signatures/{contract.id}",
        group=Group.SIGNATURES,
        description=f"SHA-256 and 256-permutation MinHash of each document of {contract.title}.",
        code_version=signatures.code_version(),
        work=work,
        together=run_together("signatures", contract.id, base),
        deps=(f"filtered/{contract.id}",),
        shards=contract.shards,
        schema=signatures.SIGNATURE_SCHEMA,
        owner=contract.owner,
        tags=source_tags(contract),
        facts=source_facts(contract),
        automated=base.catalog.profile.name in contract.profiles,
    )


def index_stages(base: Platform) -> Iterable[Stage]:
    """Declares the three indexes over the active sources."""
    profile = base.catalog.profile
    semantic_settings = semantic.SemanticSettings(
        embedding=profile.semantic_embedding, epsilon=profile.semantic_epsilon
    )
    deps = tuple(f"signatures/{contract.id}" for contract in base.catalog.active_sources())

    def update(index: str) -> Callable[[Step], Any]:
        def work(step: Step) -> Any:
            asked = IndexUpdate(
                index=index,
                inputs=tuple(signed_shards(step.platform)),
                fingerprint=step.fingerprint,
                families=_families(step.platform),
                threshold=profile.near_threshold,
                memory_limit_bytes=profile.memory_limit_bytes,
            )
            return run_index_update(step, asked)

        return work

    def update_semantic(step: Step) -> Any:
        return semantic.update_semantic_index(
            step.lake,
            signed_shards(step.platform),
            enabled=profile.semantic_enabled,
            settings=semantic_settings,
            families=_families(step.platform),
            memory_limit_bytes=profile.memory_limit_bytes,
            fingerprint=step.fingerprint,
        )

    def model_of_a_folder() -> dict[str, Any]:
        """The digest of a model that only its folder names."""
        if not profile.semantic_enabled or profile.semantic_embedding in PACKAGED:
            return {}
        return {"semantic_model": embedding_version(profile.semantic_embedding)}

    def stage(
        name: str,
        description: str,
        version: str,
        work: Any,
        *,
        further: tuple[str, ...] = (),
        more: Callable[[], dict[str, Any]] | None = None,
    ) -> Stage:
        return Stage(
            key=f"dedup/{name}",
            group=Group.DEDUP,
            description=description,
            code_version=version,
            work=work,
            deps=(*deps, *further),
            extra_inputs=lambda platform, _: {
                **_priorities(platform),
                "license_families": _families(platform).digest,
                **(more() if more else {}),
            },
            schema=INDEX_SCHEMA,
            checks=(no_source_wiped_out_check(),),
            plot=lambda platform: dedup_report(
                platform, f"dedup/{name}", excerpts=platform.settings.excerpts
            ),
            pool="dedup_index",
        )

    yield stage(
        "exact_index",
        "Clusters of documents with the same content, or the same content once normalised.",
        exact.code_version(),
        update(EXACT_INDEX),
    )
    yield stage(
        "near_index",
        f"Clusters of documents whose exact Jaccard similarity over word 5-grams is at least "
        f"{profile.near_threshold}. Candidates come from 42 bands of 6; every pair is verified.",
        near.code_version(profile.near_threshold),
        update(NEAR_INDEX),
    )
    yield stage(
        "semantic_index",
        "SemDeDup: documents pruned for closeness in an embedding space "
        f"({profile.semantic_embedding}, epsilon {profile.semantic_epsilon:g}). "
        + ("On in this profile." if profile.semantic_enabled else "Off in this profile."),
        semantic.code_version(profile.semantic_enabled, semantic_settings),
        update_semantic,
        # It looks only at what the other two indexes keep.
        further=("dedup/exact_index", "dedup/near_index"),
        more=model_of_a_folder,
    )


def _priorities(platform: Platform) -> dict[str, int]:
    return {contract.id: contract.priority for contract in platform.catalog.active_sources()}


def _families(platform: Platform) -> LicenseFamilies:
    """Part of what an index is made from: another category or decision solves all clusters anew."""
    return families_of(platform.catalog.policy, platform.catalog.profile.use_profile)
