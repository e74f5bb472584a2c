"""What all tests share: hypothesis draws the same examples each time."""

from hypothesis import settings

from tests import sized

settings.register_profile(
    "laws", deadline=None, derandomize=True, max_examples=sized(200, 40)
)
settings.load_profile("laws")
