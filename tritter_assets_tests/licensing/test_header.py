from __future__ import annotations

import pytest

from tritter_assets.licensing.header import copyright_lines, scan_header
from tritter_assets.record import LicenseMethod
from tritter_assets_tests.licensing.texts import (
    APACHE_HEADER,
    BSD3,
    GPL_HEADER,
    MIT,
    commented,
)

RUST = """\
// Licensed under the Apache License, Version 2.0 <LICENSE-APACHE or
// http://www.apache.org/licenses/LICENSE-2.0> or the MIT license
// <LICENSE-MIT or http://opensource.org/licenses/MIT>, at your
// option. This file may not be copied, modified, or distributed
// except according to those terms.
"""
LGPL = """\
/* This library is free software; you can redistribute it and/or modify it under the terms of the
 * GNU Lesser General Public License as published by the Free Software Foundation; either version
 * 2.1 of the License, or (at your option) any later version. See the GNU Lesser General Public
 * License for more details. */
"""
MPL = """\
/* This Source Code Form is subject to the terms of the Mozilla Public
 * License, v. 2.0. If a copy of the MPL was not distributed with this
 * file, You can obtain one at http://mozilla.org/MPL/2.0/. */
"""


@pytest.mark.parametrize(
    ("text", "expression", "method"),
    [
        ("# SPDX-License-Identifier: MIT\n", "MIT", "spdx_header"),
        (
            "/* SPDX-License-Identifier: GPL-2.0+ OR MIT */\n",
            "GPL-2.0-or-later OR MIT",
            "spdx_header",
        ),
        ("<!-- SPDX-License-Identifier: CC-BY-4.0 -->\n", "CC-BY-4.0", "spdx_header"),
        (
            "#!/bin/python\n# SPDX-License-Identifier: Foo Bar\n",
            "NOASSERTION",
            "spdx_header",
        ),
        (APACHE_HEADER, "Apache-2.0", "header_notice"),
        (GPL_HEADER, "GPL-2.0-or-later", "header_notice"),
        (LGPL, "LGPL-2.1-or-later", "header_notice"),
        (MPL, "MPL-2.0", "header_notice"),
        (RUST, "Apache-2.0 OR MIT", "header_notice"),
        (commented(MIT, "#"), "MIT", "header_notice"),
        (f'"""Doc.\n\n{BSD3}"""\n', "BSD-3-Clause", "header_notice"),
        (
            "# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/)\n",
            "GPL-3.0-or-later",
            "header_notice",
        ),
        (
            "// it under the terms of version 3 of the GNU General Public License.\n",
            "GPL-3.0-only",
            "header_notice",
        ),
        ("# Authors: A, B\n# License: BSD 3 clause\nimport x\n", "BSD-3-Clause", "header_notice"),
        ('"""Doc."""\n__license__ = "MIT"\n', "MIT", "header_notice"),
        (
            "// Part of the LLVM Project, under the Apache License v2.0 with LLVM Exceptions.\n",
            "Apache-2.0 WITH LLVM-exception",
            "header_notice",
        ),
        ("# Copyright X.\n# Proprietary and confidential.\n", "NOASSERTION", "header_notice"),
    ],
)
def test_what_headers_say(text: str, expression: str, method: str) -> None:
    found = scan_header(text)
    assert found is not None
    assert (found.expression, found.method) == (expression, LicenseMethod(method))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 'licensed under the MIT license'\n",
        "setup(classifiers=['License :: OSI Approved :: MIT License'])\n",
        "// Use of this source code is governed by a BSD-style license that can be\n"
        "// found in the LICENSE file.\n",
        '"""Makes a GPL-compatible thing."""\n',
        '"""Arrays may not be copied."""\n',
        "# Licensing\n\nThe parser is licensed, see elsewhere.\n",
    ],
)
def test_what_says_nothing_of_the_file(text: str) -> None:
    found = scan_header(text)
    assert found is None or found.expression is None


def test_two_copyleft_notices_are_both_kept() -> None:
    text = APACHE_HEADER + "# Portions WITHOUT WARRANTY, either express or implied, are GPL.\n"
    found = scan_header(text)
    assert found is not None
    assert found.expression == "Apache-2.0 AND GPL-1.0-or-later"


def test_copyright_lines() -> None:
    text = (
        "/*\n * Copyright (c) 2019-2021, Jane Doe <jane@x.org>. All rights reserved.\n"
        " * SPDX-FileCopyrightText: 2020 Joe\n * (C) 2018 Old Corp */\n"
        "# The above copyright notice and this permission notice\n"
        "# copyright holders are not liable\n   Copyright [yyyy] [name of copyright owner]\n"
    )
    assert copyright_lines(text) == (
        "Copyright (c) 2019-2021, Jane Doe <jane@x.org>. All rights reserved.",
        "2020 Joe",
        "(C) 2018 Old Corp",
    )


def test_the_third_item_of_a_list_is_no_copyright_line() -> None:
    text = (
        "(a) You must give a copy\n(c) You must retain, in the Source form, all notices\n"
        "  (c) redistribute in any form\n(C) A. Schiffler\n(c) Individual contributors.\n"
        "(c) The Regents, 1994\n"
    )
    assert copyright_lines(text) == (
        "(C) A. Schiffler",
        "(c) Individual contributors.",
        "(c) The Regents, 1994",
    )


def test_only_the_top_is_read() -> None:
    assert scan_header("#" * 5000 + "\n# SPDX-License-Identifier: MIT\n") is None


def test_a_tag_below_the_word_that_begins_its_comment_is_read() -> None:
    found = scan_header("x\nrem\n\n  SPDX-License-Identifier: MIT\nPDX-1\n")
    assert found is not None
    assert (found.expression, found.where) == ("MIT", "line 4")


def test_letters_that_grow_in_lower_case_move_nothing() -> None:
    tag = "# \u0130\n# Copyright (c) 2020 \u0130nci\n# SPDX-License-Identifier: MIT\n"
    found = scan_header(tag)
    assert found is not None
    assert found.expression == "MIT"
    assert found.copyright_lines == ("Copyright (c) 2020 \u0130nci",)


def test_notices_of_man_pages_and_of_docbook_are_read_where_they_stand() -> None:
    page = (
        ".TH sorter 1\n.SH NAME\nsorter\n.SH AUTHOR\n.PP\nwritten by A. Writer.\n.PP\nPermission "
        "is granted to copy, distribute and/or modify this\ndocument under the terms of the GNU "
        "Free\nDocumentation License, Version 1.1 or any later version\n"
    )
    docbook = (
        '<?xml version="1.0"?>\n<refentry id="x.1">\n<legalnotice>\n<para>This man page is '
        "distributed under the same terms as\n  x (GPL-2+). There is NO WARRANTY.</para>\n"
        "</legalnotice>\n"
    )
    for text, start in ((page, "NOASSERTION"), (docbook, "GPL-2.0")):
        found = scan_header(text)
        assert found is not None, text
        assert (found.expression or "").startswith(start)
    about = ".TH x 1\n.SH DESCRIPTION\nx lists packages whose licence is the GPL or unknown.\n"
    assert scan_header(about) is None or scan_header(about).expression is None
