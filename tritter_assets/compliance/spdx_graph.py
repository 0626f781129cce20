"""One SPDX 3.0.1 document under construction: elements, relationships, licences.

Made with the model's own bindings, which check every type and cardinality. Ids are derived from
what the document describes and `created` from the contracts' dates, so the same data gives the same
bytes.
"""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from typing import Any

from tritter_assets.errors import ContractViolation
from tritter_assets.lake import fingerprint_of

NO_ASSERTION = "NOASSERTION"
_DATA_LICENCE = "CC0-1.0"
"""What the specification asks of the document itself; it says nothing of data or weights."""


class SpdxGraph:
    """The elements of one document, in the order they were made."""

    def __init__(self, identity: str, created: date, publisher: str) -> None:
        from spdx_python_model import v3_0_1

        self.spdx: Any = v3_0_1
        self.namespace = f"urn:tritter-assets:bom:{identity}:"
        self._objects: Any = self.spdx.SHACLObjectSet()
        self._elements: list[Any] = []
        self._licences: dict[str, Any] = {}
        self._relationships = 0
        self._created = self.spdx.CreationInfo(
            specVersion="3.0.1",
            created=moment(created),
            comment="Dated by the newest contract in use, so that the same data gives the same "
            "document.",
        )
        self._created.set_id("_:created")
        self.publisher = self.element(self.spdx.Organization, "agent:publisher", name=publisher)
        self._created.createdBy.append(self.publisher)

    def element(self, kind: Any, key: str, **values: Any) -> Any:
        """Makes an element; values that are None are left out."""
        stated = {name: value for name, value in values.items() if value is not None}
        element = kind(creationInfo=self._created, **stated)
        element.set_id(self.namespace + key)
        self._objects.add(element)
        self._elements.append(element)
        return element

    def relate(self, subject: Any, kind: str, objects: list[Any]) -> None:
        """Adds one relationship; none when there is nothing to relate to."""
        if not objects:
            return
        relation = self.element(
            self.spdx.Relationship,
            f"relationship:{self._relationships:04d}",
            relationshipType=getattr(self.spdx.RelationshipType, kind),
            from_=subject,
        )
        self._relationships += 1
        relation.to.extend(objects)

    def license(self, package: Any, declared: str, concluded: str) -> None:
        """Gives a package its one declared and its one concluded licence, as the profiles ask."""
        self.relate(package, "hasDeclaredLicense", [self._licence(declared)])
        self.relate(package, "hasConcludedLicense", [self._licence(concluded)])

    def _licence(self, expression: str) -> Any:
        if expression in (NO_ASSERTION, ""):
            return self.spdx.expandedlicensing_IndividualLicensingInfo.NoAssertionLicense
        if expression not in self._licences:
            self._licences[expression] = self.element(
                self.spdx.simplelicensing_LicenseExpression,
                f"licence:{fingerprint_of(expression)}",
                simplelicensing_licenseExpression=expression,
            )
        return self._licences[expression]

    def document(self, name: str, roots: list[Any]) -> bytes:
        """Returns the whole document as JSON-LD in UTF-8.

        Raises:
            ContractViolation: an element lacks what the model requires.
        """
        spdx = self.spdx
        document = spdx.SpdxDocument(name=name, creationInfo=self._created)
        document.set_id(f"{self.namespace}document")
        document.dataLicense = self._licence(_DATA_LICENCE)
        document.rootElement.extend(roots or [self.publisher])
        document.element.extend(self._elements)
        profiles = spdx.ProfileIdentifierType
        document.profileConformance.extend(
            [
                profiles.core,
                profiles.software,
                profiles.simpleLicensing,
                profiles.dataset,
                profiles.ai,
            ]
        )
        self._objects.add(document)
        buffer = io.BytesIO()
        try:
            spdx.JSONLDSerializer().write(self._objects, buffer, indent=2)
        except (ValueError, TypeError) as error:
            raise ContractViolation(f"the SPDX document is not valid: {error}") from None
        return buffer.getvalue() + b"\n"


def moment(day: date) -> datetime:
    """Midnight UTC of a day."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
