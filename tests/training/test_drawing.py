"""Addresses of pictures, and what becomes of their latents."""

import numpy as np
import pytest

from logogan_jax.core.errors import UserError
from logogan_jax.objectives import OBJECTIVES
from logogan_jax.training.drawing import addresses, latents


def test_addresses_are_seeds_ranges_and_pictures_of_a_seed():
    found = addresses.parse("1, 5,9-11,1:17,2:0-2", "seeds")
    assert [str(one) for one in found] == ["1:0", "5:0", "9:0", "10:0", "11:0", "1:17", "2:0", "2:1", "2:2"]
    assert [one.file_name for one in found[4:6]] == ["seed00011", "seed00001-00017"]
    assert addresses.numbered(-1, 3, 1) == [addresses.Address(2**32 - 1, 3)]  # as a key sees that seed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,",
        "-1",
        "1:",
        ":2",
        "1:2:3",
        "1.5",
        "9-",
        "9-5",
        "1:9-5",
        "4294967296",
        "1:2147483648",
        "0-100000",
        "9" * 99,
    ],
)
def test_what_is_no_address_is_one_line_with_the_flag(text):
    with pytest.raises(UserError) as error:
        addresses.parse(text, "seeds")
    assert str(error.value).startswith("--seeds") and len(str(error.value)) < 250


def test_truncation_moves_towards_the_mean_and_leaves_the_number_of_the_colour():
    z = np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)
    mean = np.arange(8, dtype=np.float32)
    moved = latents.truncate(z, mean, 0.25, kept=1)
    np.testing.assert_allclose(moved[:, :7] - mean[:7], 0.25 * (z - mean)[:, :7], atol=1e-6)
    np.testing.assert_array_equal(moved[:, 7], z[:, 7])
    np.testing.assert_allclose(latents.truncate(z, 0.0, 0.5), 0.5 * z)


def test_the_prior_of_2018_that_is_uniform_has_no_middle():
    uniform = {name for name in ("walkthrough_dcgan", "walkthrough_wgan") if not OBJECTIVES[name](latent=4).prior_mean}
    assert uniform == {"walkthrough_dcgan", "walkthrough_wgan"}
    assert OBJECTIVES["gan"](latent=4).prior_mean(None) == 0.0
