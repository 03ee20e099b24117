"""Date formats as a contract names them."""

from __future__ import annotations

from datetime import date

import pytest

from common.contracts.dates import contradicting_formats, date_parser, iso_date


@pytest.mark.parametrize(
    ("template", "text", "day"),
    [
        ("%Y%m", "201405", date(2014, 5, 1)),
        ("%Y%m", "20145", None),
        ("%Y%m", "201413", None),
        ("%m/%Y", "5/2014", date(2014, 5, 1)),
        ("%d.%m.%Y", "4.12.2019", date(2019, 12, 4)),
        ("%d.%m.%Y", "04.12.2019", date(2019, 12, 4)),
        ("%d.%m.%Y", "4.12.2019 00:00", date(2019, 12, 4)),
        ("%d.%m.%Y", "4.12.2019 0", None),
        ("%d.%m.%Y", "4.12.19", None),
        ("%d.%m.%Y", "4x12x2019", None),
        ("%d.%m.%Y", "٤.12.2019", None),
        ("%d.%m.%Y", "29.02.2019", None),
        ("%d/%m/%y", "22/12/16", date(2016, 12, 22)),
        ("%d/%m/%y", "22/12/69", date(1969, 12, 22)),
        ("%d-%b-%y", "1-Jan-17", date(2017, 1, 1)),
        ("%d-%b-%Y", "1-FEV-2017", date(2017, 2, 1)),
        ("%d-%b-%Y", "1-xyz-2017", None),
        ("%d%m%Y", "04122019", date(2019, 12, 4)),
        ("%d%m%Y", "4122019", None),
    ],
)
def test_a_format_reads_its_own_dates_and_no_others(
    template: str, text: str, day: date | None
) -> None:
    assert date_parser(template)(text) == day


@pytest.mark.parametrize("text", ["2019-12-04", "2019-12-04T10:00:00.5+01:00", "2019-12-04 10:00"])
def test_iso_is_read_with_and_without_a_time(text: str) -> None:
    assert iso_date(text) == date(2019, 12, 4)


@pytest.mark.parametrize("text", ["20191204", "2019-W49-3", "2019-13-01", "2019-12-04x", "2019-12"])
def test_other_spellings_of_iso_are_not_read(text: str) -> None:
    assert iso_date(text) is None


def test_formats_contradict_one_another_when_one_text_is_two_dates() -> None:
    assert contradicting_formats(("%d/%m/%y", "%d/%m/%Y", "%d-%b-%y")) is None
    assert contradicting_formats(("%d/%m/%y", "%m/%d/%y")) == ("%d/%m/%y", "%m/%d/%y")
