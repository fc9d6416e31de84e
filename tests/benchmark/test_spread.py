import pytest

from cmid_mm.benchmark.spread import paired_ratios, rates, spread


def test_median_and_quartiles():
    assert spread([5, 1, 2, 4, 3]) == dict(median=3, quartiles=[2, 4], count=5)
    assert spread([1, 2]) == dict(median=1.5, quartiles=[1.25, 1.75], count=2)
    # one disturbed step of five moves nothing
    assert spread([1, 1, 1, 1, 1000])['median'] == 1


def test_rates_are_images_over_seconds():
    assert rates([0.5, 0.25, 1.], 8) == dict(median=16, quartiles=[12, 24], count=3)


def test_ratios_are_of_neighbours():
    # everything becomes three times as slow in the middle, for both alike
    ratios = paired_ratios([2, 6, 6, 2], [1, 3, 3, 1])
    assert ratios == dict(median=2, quartiles=[2, 2], count=4)
    assert paired_ratios([1.], [2.])['median'] == 0.5
    with pytest.raises(ValueError):
        paired_ratios([1, 2], [1])


def test_nothing_measured_is_refused():
    with pytest.raises(ValueError, match='raise --steps'):
        spread([])
