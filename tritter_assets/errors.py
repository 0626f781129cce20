"""One hierarchy of errors. Every message says what happened, the value at fault and the way out."""

from __future__ import annotations


class TritterError(Exception):
    """Root of every error this project raises on purpose."""


class ContractViolation(TritterError):
    """A contract, policy, mix or profile file is wrong, or a table does not keep its promise."""


class LicenseRefused(TritterError):
    """A row, source or mix is not admitted by the active policy profile."""


class MissingProvenance(TritterError):
    """A row reached a consumer without the provenance that consumer must be able to prove."""


class RemovalPending(TritterError):
    """A consumer was asked to use data that a removal request covers."""


class UpstreamUnavailable(TritterError):
    """A source could not be reached, or did not hold what its contract pins."""


class UpstreamChanged(TritterError):
    """A source answers, but its content does not match the pinned hash, revision or schema."""


class UnsafeArchive(TritterError):
    """An archive breaks a limit on paths, links, sizes, counts or compression ratio."""


class LakeCorruption(TritterError):
    """A stored table or artifact is not what its commit says it is."""


class WorkerLost(TritterError):
    """A worker process ended before it answered; nothing of its task was stored."""


class MixInfeasible(TritterError):
    """A mix cannot supply its tokens without passing its cap on epochs."""


class TrainingFailed(TritterError):
    """A training or export step ended without a usable result."""
