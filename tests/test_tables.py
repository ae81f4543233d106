"""Numbers in reports: no exponents, no negative zeros, percentages written one way."""

import pytest

from skdistill.formatting import decimals, number, percent
from skdistill.weighted_statistics import Estimate


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-1.4e-06, "-0.0000014"),
        (-1e-17, "0.0000"),
        (0.0, "0"),
        (2.3e-05, "0.000023"),
        (0.91712, "0.9171"),
        (12.346, "12.35"),
        (-1234.5, "-1,234"),
        (float("nan"), "-"),
        (Estimate(-1.4e-06, -0.003, 0.0031), "0.0000 [-0.0030, 0.0031]"),
        (Estimate(2.3e-05, 2e-05, 2.7e-05), "0.000023 [0.000020, 0.000027]"),
        (Estimate(0.0, 0.0, 0.01), "0.0000 [0.0000, 0.0100]"),
        (Estimate(-18.93, -42.95, 6.2933), "-18.93 [-42.95, 6.29]"),
        (Estimate(0.1, float("nan"), float("nan")), "0.1000"),
    ],
)
def test_numbers_have_no_exponent_and_an_interval_has_the_decimals_of_its_size(value, text):
    assert number(value) == text


def test_a_negative_zero_is_never_written():
    assert decimals(-0.001, 2) == "0.00"
    assert decimals(-0.01, 2) == "-0.01"


def test_percentages_have_the_digits_that_tell_them_from_none_and_all():
    shares = [0.0, 0.00012, 0.07, 0.989, 0.9994, 0.99994, 1.0, float("nan")]
    texts = ["0%", "0.01%", "7.0%", "98.9%", "99.94%", "99.994%", "100%", "-"]
    assert [percent(share) for share in shares] == texts
