"""The most that the use profile `strict` may ever admit without a signed decision.

It stands in code on purpose: an edit of the policy files cannot widen it, only a code review can.
"""

from __future__ import annotations

from collections.abc import Mapping

# fmt: off
STRICT_LIMITS: Mapping[str, frozenset[str]] = {
    "licenses": frozenset({
        "0BSD", "AFL-2.0", "AFL-2.1", "AFL-3.0", "Apache-1.0", "Apache-1.1", "Apache-2.0",
        "BSD-1-Clause", "BSD-2-Clause", "BSD-2-Clause-Darwin", "BSD-2-Clause-Patent",
        "BSD-2-Clause-Views", "BSD-2-Clause-first-lines", "BSD-3-Clause",
        "BSD-3-Clause-Attribution", "BSD-3-Clause-Clear", "BSD-3-Clause-HP", "BSD-3-Clause-LBNL",
        "BSD-3-Clause-Open-MPI", "BSD-3-Clause-Sun", "BSD-4-Clause", "BSD-4-Clause-UC",
        "BSD-Source-Code", "BSL-1.0", "Beerware", "Bitstream-Charter", "Bitstream-Vera",
        "BlueOak-1.0.0", "Boehm-GC", "Brian-Gladman-2-Clause", "Brian-Gladman-3-Clause", "CC-PDDC",
        "CC0-1.0", "CNRI-Python", "CNRI-Python-GPL-Compatible", "ECL-2.0", "EFL-2.0", "FTL",
        "HIDAPI", "HPND", "HPND-Markus-Kuhn", "HPND-sell-variant",
        "HPND-sell-variant-MIT-disclaimer", "ICU", "IJG", "IJG-short", "ISC", "ISC-Veillard",
        "Info-ZIP", "Intel", "Libpng", "LicenseRef-scancode-public-domain", "MIT", "MIT-0",
        "MIT-CMU", "MIT-Festival", "MIT-Modern-Variant", "MIT-Wu", "MIT-enna", "MIT-feh",
        "MIT-open-group", "MIT-testregex", "MS-PL", "Minpack", "NAIST-2003", "NCSA", "NIST-PD",
        "NIST-PD-fallback", "NTP", "OLDAP-2.8", "OpenSSL", "OpenSSL-standalone", "PDDL-1.0",
        "PSF-2.0", "PostgreSQL", "Python-2.0", "Python-2.0.1", "SAX-PD", "SMLNJ", "SSLeay",
        "SSLeay-standalone", "SWL", "Spencer-94", "Spencer-99", "SunPro", "TCL", "TU-Berlin-2.0",
        "UPL-1.0", "Unicode-3.0", "Unicode-DFS-2015", "Unicode-DFS-2016", "Unlicense", "W3C",
        "WTFPL", "X11", "X11-distribute-modifications-variant", "Xnet", "ZPL-2.0", "ZPL-2.1",
        "Zlib", "blessing", "bzip2-1.0.6", "curl", "dtoa", "eGenix", "libpng-1.6.35", "libpng-2.0",
        "libtiff", "mpi-permissive", "mpich2", "python-ldap", "snprintf", "softSurfer",
        "zlib-acknowledgement",
    }),
    "methods": frozenset({
        "declared_column", "spdx_header", "header_notice", "license_file", "package_metadata",
        "dep5", "inherited", "decision",
    }),
    "generators": frozenset({"human", "rule_based"}),
    "access": frozenset({"none", "public_index"}),
}
# fmt: on

STRICT_CONFIDENCE = 0.8
"""Least confidence of a conclusion that `strict` admits."""
