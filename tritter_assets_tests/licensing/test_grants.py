"""Notices, notices of parts, and prose about licences."""

from __future__ import annotations

import pytest

from tritter_assets.licensing.header import scan_header
from tritter_assets_tests.licensing.texts import APACHE_HEADER, BSD3, GPL_HEADER, MIT, commented

PROSE = (
    '"""Checks that no dependency is under the GPL or another copyleft license."""\n',
    '"""The GPL license requires that derivative works are published under it."""\n',
    '"""Packages licensed under the GPL are rejected; those under the MIT license pass."""\n',
    "# If the license is GPL we must not copy the file, see policy.\n",
    "// Unlike code under the GPL, this may be linked without conditions.\n",
    "# For Windows, you can download compiled GPL binaries from the mirror.\n",
    '"""Known licences.\n\n* MIT License\n* Apache License 2.0\n* GPL-3.0\n* LGPL\n"""\n',
    '"""Maps trove classifiers: for example "GPL" becomes GPL-1.0-or-later."""\n',
    "# Kim (1999). State-space models. MIT Press Books. The MIT Press.\n",
    "# Links against the expat library where it is installed.\n",
    '"""Citation: license = {BSD-3-Clause}, year 2024."""\n',
    '"use strict";(self.x=self.x||[]).push([[1],{2:e=>{"gpl copyleft licensed under mit"}}]);\n',
    "x = 1\nLICENSES = '''\n# Licensed under the GPL\n'''\n",
)


@pytest.mark.parametrize("text", PROSE)
def test_prose_about_licences_is_no_licence(text: str) -> None:
    found = scan_header(text)
    assert found is None or found.expression is None


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("# Licensed under the GPL: https://www.gnu.org/licenses/gpl-2.0.html\n", "GPL-1.0"),
        ("# Distributed under the terms of the GNU General Public License (GPL).\n", "GPL-1.0"),
        (
            "/*\n This software may be used and distributed according to the terms of\n the GNU"
            " General Public License, incorporated herein by reference.\n*/\n",
            "GPL-1.0",
        ),
        ("/* SDL_gfx: drawing primitives\n   LGPL (c) A. Schiffler */\n", "LGPL-2.0"),
        ("/*! html5 shim 3.7 | @a @b | MIT/GPL2 Licensed */\n", "GPL-2.0"),
        ("#!/usr/bin/python\n# (see COPYING) GNU AGPL v3 or later\n", "AGPL-3.0"),
        ('"""Plots.\n\n:license: GNU Lesser General Public License, Version 3\n"""\n', "LGPL-3.0"),
        ("# This program is GPL v2.\n", "GPL-2.0"),
        ("# A reader for x, released under the GPL v3\nimport x\n", "GPL-3.0"),
        ("# This is free software under the EUPL v1.2\n", "EUPL-1.2"),
        ('"""x"""\nimport y\n\n' + GPL_HEADER, "GPL-2.0-or-later"),
        ("int x;\n/* This code is distributed under the GNU LGPL license. */\n", "LGPL-2.0"),
        ("import x\n# Part of Y\n#\n# Licensed under the GNU Affero General Public License,\n"
         "# Version 3\n", "AGPL-3.0"),
        ("# Licensed under the GPL or AGPL v3\n", "AGPL-3.0"),
        (APACHE_HEADER + "\n# Packages under the GPL must not be imported here.\n#\n" + GPL_HEADER,
         "GPL-2.0-or-later"),
    ],
)  # fmt: skip
def test_no_copyleft_notice_is_missed(text: str, expression: str) -> None:
    found = scan_header(text)
    assert found is not None
    assert expression in str(found.expression)


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        ("# Some code based on code from http://x.org\n# by Jo, under MIT License.\n", "MIT"),
        ("//! Ported from `shquote`, which is released under the Apache 2.0 license.\n",
         "Apache-2.0"),
        ("# Adapted from x (https://x.org), licensed under the GPL v3\n", "GPL-3.0-only"),
        ("# The icons are available under the MIT license from their author.\n", "MIT"),
    ],
)  # fmt: skip
def test_a_notice_of_a_part_is_not_one_of_the_file(text: str, expression: str) -> None:
    found = scan_header(text)
    assert found is not None
    assert (found.expression, found.scope) == (expression, "part")


def test_a_whole_text_beside_a_word_of_its_source() -> None:
    found = scan_header(commented("Based on numpy's parser.\n\n" + BSD3, "#"))
    assert found is not None
    assert (found.expression, found.scope) == ("BSD-3-Clause", "taken")
    plain = scan_header(commented(MIT, "#"))
    assert plain is not None
    assert plain.scope == "file"


@pytest.mark.parametrize(
    ("text", "expression", "exact"),
    [
        (
            "# This file is dual licensed under the terms of the Apache License, Version\n"
            "# 2.0, and the BSD License. See the LICENSE file in the root of this repository\n",
            "Apache-2.0 OR BSD-3-Clause",
            False,
        ),
        (
            "/* This source code is licensed under both the BSD-style license (found in the\n"
            " * LICENSE file) and the GPLv2 (found in the COPYING file).\n"
            " * You may select, at your option, one of the above-listed licenses. */\n",
            "BSD-3-Clause OR GPL-2.0-only",
            False,
        ),
        (
            "/* Dual licensed under the MIT or GPL Version 2 licenses. */\n",
            "GPL-2.0-only OR MIT",
            True,
        ),
        ("// distributed under either MIT or Apache 2.0 licenses.\n", "Apache-2.0 OR MIT", True),
    ],
)
def test_offers_of_two_licences(text: str, expression: str, exact: bool) -> None:
    found = scan_header(text)
    assert found is not None
    assert (found.expression, found.exact, found.scope) == (expression, exact, "file")


def test_an_offer_elsewhere_frees_no_file() -> None:
    text = (
        "# This file is licensed under the GNU General Public License, version 2.\n#\n"
        + "# It reads tables, and writes them back in the order in which they were found.\n" * 6
        + "#\n# This file holds a list, which is dual licensed: MIT license.\n"
    )
    found = scan_header(text)
    assert found is not None
    assert found.expression == "GPL-2.0-only AND MIT"


def test_a_box_around_a_tag_is_no_part_of_it() -> None:
    text = "/" + "*" * 60 + "\n *   SPDX-License-Identifier: BSD-3-Clause            *\n"
    found = scan_header(text)
    assert found is not None
    assert found.expression == "BSD-3-Clause"


@pytest.mark.parametrize(
    ("before", "sign", "after"),
    [
        ("", "#", ""), ("", "//", ""), ("", "--", ""), ("", ";;", ""), ("", "%%", ""),
        ("", "!", ""), ("", "C", ""), ("", "'", ""), ("", '"', ""), ("", "REM", ""),
        ("", "@rem", ""), ("", "dnl", ""), ("", '.\\"', ""), ("", "//!", ""), ("", "::", ""),
        ("/*\n", " *", " */"), ("/+\n", "", "+/"), ("<!--\n", "", "-->"), ("(*\n", "", "*)"),
        ("{-\n", "", "-}"), ("{\n", "", "}"), ("{#\n", "", "#}"), ("{{!--\n", "", "--}}"),
        ("<%--\n", "", "--%>"), ("<#\n", "", "#>"), ("#=\n", "", "=#"), ("#|\n", "", "|#"),
        ("#[[\n", "", "]]"), ("--[[\n", "", "]]"), ("%{\n", "", "%}"), ("=pod\n\n", "", "\n=cut"),
        ("<?xml version='1.0'?>\n<!--\n", "", "-->"), ("<?php\n/**\n", " *", " */"),
        ("<!DOCTYPE html>\n<!--\n", "", "-->"), ("package a.b;\n\n/*\n", "", "*/"),
        ("#ifndef A\n#define A\n/*\n", "", "*/"), ('"""A module."""\n', "#", ""),
        ("#!/bin/sh\n", "#", ""), ('"""\n', "", '"""'), ("r'''\n", "", "'''"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_comments_of_every_language(before: str, sign: str, after: str, line_end: str) -> None:
    for notice, expression in (
        (GPL_HEADER, "GPL-2.0-or-later"),
        (APACHE_HEADER, "Apache-2.0"),
        (commented(MIT, "#"), "MIT"),
    ):
        plain = [line.removeprefix("#").strip() for line in notice.splitlines()]
        lines = [f"{sign} {line}".rstrip() if sign else line for line in plain]
        text = before + "\n".join(lines) + f"\n{after}\ncode here\n"
        found = scan_header(text.replace("\n", line_end))
        assert found is not None
        assert (found.expression, found.scope) == (expression, "file")


def test_a_manifest_in_json_is_no_comment() -> None:
    assert scan_header('{\n  "name": "x",\n  "license": "GPL-3.0"\n}\n') is None


def test_a_notice_beside_a_whole_text_of_another_licence_is_kept() -> None:
    text = APACHE_HEADER + "#\n# Based on x:\n#\n" + commented(MIT, "#")
    found = scan_header(text)
    assert found is not None
    assert (found.expression, found.scope) == ("Apache-2.0 AND MIT", "taken")
