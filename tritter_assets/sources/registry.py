"""Origin kind -> loader."""

from __future__ import annotations

from collections.abc import Mapping

from tritter_assets.contracts.source import SourceContract
from tritter_assets.errors import ContractViolation
from tritter_assets.sources.crate import CrateLoader
from tritter_assets.sources.file import FileLoader
from tritter_assets.sources.git import GitLoader
from tritter_assets.sources.http import HttpLoader
from tritter_assets.sources.hub import HubLoader
from tritter_assets.sources.loader import Loader
from tritter_assets.sources.sdist import SdistLoader

LOADERS: Mapping[str, Loader] = {
    "sdist": SdistLoader(),
    "hub": HubLoader(),
    "git": GitLoader(),
    "http": HttpLoader(),
    "file": FileLoader(),
    "crate": CrateLoader(),
}


def loader_for(contract: SourceContract) -> Loader:
    """Returns the loader of a contract's origin.

    Raises:
        ContractViolation: no loader has this kind.
    """
    loader = LOADERS.get(contract.origin.kind)
    if loader is None:
        raise ContractViolation(
            f"source {contract.id}: origin kind {contract.origin.kind!r} has no loader; use one of "
            f"{', '.join(sorted(LOADERS))}"
        )
    return loader
