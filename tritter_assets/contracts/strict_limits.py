"""The most that the use profile `strict` may ever admit without a signed decision.

It stands in the package on purpose, with `reviewed_names.yaml` beside it: an edit of the policy
files cannot widen it, only a code review can. The names are part of it because a name decides which
licence a row is under long before a profile is asked.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

from tritter_assets.contracts.yaml_file import YamlFile

# fmt: off
STRICT_LIMITS: Mapping[str, frozenset[str]] = {
    "licenses": frozenset({
        "0BSD", "ADSL", "AFL-1.1", "AFL-1.2", "AFL-2.0", "AFL-2.1", "AFL-3.0", "AMDPLPA", "AML",
        "AMPAS", "ANTLR-PD", "ANTLR-PD-fallback", "APAFML", "Adobe-2006", "Afmparse", "Apache-1.0",
        "Apache-1.1", "Apache-2.0", "BSD-1-Clause", "BSD-2-Clause", "BSD-2-Clause-Darwin",
        "BSD-2-Clause-Patent", "BSD-2-Clause-Views", "BSD-2-Clause-first-lines", "BSD-3-Clause",
        "BSD-3-Clause-Attribution", "BSD-3-Clause-Clear", "BSD-3-Clause-HP", "BSD-3-Clause-LBNL",
        "BSD-3-Clause-Modification", "BSD-3-Clause-Open-MPI", "BSD-3-Clause-Sun", "BSD-4-Clause",
        "BSD-4-Clause-Shortened", "BSD-4-Clause-UC", "BSD-Source-Code", "BSL-1.0", "Bahyph", "Barr",
        "Beerware", "Bitstream-Charter", "Bitstream-Vera", "BlueOak-1.0.0", "Boehm-GC", "Borceux",
        "Brian-Gladman-2-Clause", "Brian-Gladman-3-Clause", "CC-PDDC", "CC0-1.0", "CECILL-B",
        "CERN-OHL-P-2.0", "CFITSIO", "CNRI-Jython", "CNRI-Python", "CNRI-Python-GPL-Compatible",
        "Clips", "Condor-1.1", "Crossword", "CrystalStacker", "Cube", "DL-DE-ZERO-2.0", "DOC",
        "DSDP", "ECL-1.0", "ECL-2.0", "EFL-1.0", "EFL-2.0", "EUDatagrid", "Entessa", "FSFAP",
        "FSFUL", "FSFULLR", "FTL", "Fair", "GLWTPL", "Giftware", "HIDAPI", "HPND",
        "HPND-Fenneberg-Livingston", "HPND-Markus-Kuhn", "HPND-sell-regexpr", "HPND-sell-variant",
        "HPND-sell-variant-MIT-disclaimer", "HTMLTIDY", "IBM-pibs", "ICU", "IJG", "IJG-short",
        "ISC", "ISC-Veillard", "ImageMagick", "Info-ZIP", "Intel", "Intel-ACPI", "Jam",
        "JasPer-2.0", "Kazlib", "LZMA-SDK-9.22", "Leptonica", "Libpng",
        "LicenseRef-scancode-public-domain", "Linux-OpenIB", "MIT", "MIT-0", "MIT-CMU",
        "MIT-Festival", "MIT-Modern-Variant", "MIT-Wu", "MIT-advertising", "MIT-enna", "MIT-feh",
        "MIT-open-group", "MIT-testregex", "MITNFA", "MS-PL", "MTLL", "McPhee-slideshow", "Minpack",
        "MirOS", "MulanPSL-1.0", "MulanPSL-2.0", "Multics", "Mup", "NAIST-2003", "NCSA",
        "NICTA-1.0", "NIST-PD", "NIST-PD-fallback", "NIST-Software", "NLPL", "NRL", "NTP", "NTP-0",
        "Naumen", "NetCDF", "Newsletr", "OFFIS", "OLDAP-2.0", "OLDAP-2.0.1", "OLDAP-2.1",
        "OLDAP-2.2", "OLDAP-2.2.1", "OLDAP-2.2.2", "OLDAP-2.3", "OLDAP-2.4", "OLDAP-2.5",
        "OLDAP-2.6", "OLDAP-2.7", "OLDAP-2.8", "OLFL-1.3", "OML", "OpenSSL", "OpenSSL-standalone",
        "PDDL-1.0", "PHP-3.0", "PHP-3.01", "PSF-2.0", "Plexus", "PostgreSQL", "Python-2.0",
        "Python-2.0.1", "RSA-MD", "Rdisc", "SAX-PD", "SGI-B-2.0", "SHL-0.5", "SMLNJ", "SSH-short",
        "SSLeay-standalone", "SWL", "Saxpath", "Spencer-86", "Spencer-94", "Spencer-99", "SunPro",
        "Symlinks", "TCL", "TCP-wrappers", "TU-Berlin-1.0", "TU-Berlin-2.0", "UCAR", "UPL-1.0",
        "Unicode-3.0", "Unicode-DFS-2015", "Unicode-DFS-2016", "UnixCrypt", "Unlicense", "VSL-1.0",
        "W3C", "W3C-19980720", "W3C-20150513", "WTFPL", "Wsuipa", "X11",
        "X11-distribute-modifications-variant", "XFree86-1.1", "XSkat", "Xerox", "Xfig", "Xnet",
        "ZPL-1.1", "ZPL-2.0", "ZPL-2.1", "Zed", "Zend-2.0", "Zlib", "bcrypt-Solar-Designer",
        "blessing", "bzip2-1.0.6", "check-cvs", "curl", "diffmark", "dtoa", "eGenix", "fwlw",
        "hdparm", "libpng-1.6.35", "libpng-2.0", "libtiff", "mpi-permissive", "mpich2", "psutils",
        "python-ldap", "snprintf", "softSurfer", "xinetd", "xlock", "xpp", "zlib-acknowledgement",
    }),
    "methods": frozenset({
        "declared_column", "spdx_header", "header_notice", "license_file", "package_metadata",
        "dep5", "inherited", "decision",
    }),
    "generators": frozenset({"human", "rule_based"}),
    "access": frozenset({"none", "public_index"}),
}

_OPEN_BEYOND_STRICT = frozenset({
    "C-UDA-1.0", "CC-BY-1.0", "CC-BY-2.0", "CC-BY-2.5", "CC-BY-2.5-AU", "CC-BY-3.0", "CC-BY-3.0-AT",
    "CC-BY-3.0-AU", "CC-BY-3.0-DE", "CC-BY-3.0-IGO", "CC-BY-3.0-NL", "CC-BY-3.0-US", "CC-BY-4.0",
    "CC-BY-SA-1.0", "CC-BY-SA-2.0", "CC-BY-SA-2.0-UK", "CC-BY-SA-2.1-JP", "CC-BY-SA-2.5",
    "CC-BY-SA-3.0", "CC-BY-SA-3.0-AT", "CC-BY-SA-3.0-DE", "CC-BY-SA-3.0-IGO", "CC-BY-SA-4.0",
    "CC-SA-1.0", "CDLA-Permissive-1.0", "CDLA-Permissive-2.0", "CDLA-Sharing-1.0", "DL-DE-BY-2.0",
    "NLOD-1.0", "NLOD-2.0", "O-UDA-1.0", "ODC-By-1.0", "ODbL-1.0", "OGDL-Taiwan-1.0",
    "OGL-Canada-2.0", "OGL-UK-1.0", "OGL-UK-2.0", "OGL-UK-3.0", "etalab-2.0",
})
# fmt: on

STRICT_CONFIDENCE = 0.8
"""Least confidence of a conclusion that `strict` admits."""

OPEN_LICENSES = STRICT_LIMITS["licenses"] | _OPEN_BEYOND_STRICT
"""Licences that lose a dispute: when two kinds of evidence disagree and one names a licence that is
not here, both are concluded. In the package too, or calling GPL open in a policy file would turn a
disputed row into a sure one."""


@functools.cache
def reviewed_names() -> Mapping[str, Mapping[str, str]]:
    """Returns section of `aliases.yaml` -> name -> SPDX expression, as reviewed with the code."""
    sections = YamlFile(Path(__file__).with_name("reviewed_names.yaml")).data
    return {
        section: {name: expression for expression, names in means.items() for name in names}
        for section, means in sections.items()
    }
