"""Options of the fuzz: for how long, and from which seed on."""


def pytest_addoption(parser):
    group = parser.getgroup("fuzz")
    group.addoption(
        "--fuzz-minutes", type=float, default=0.0, help="minutes of random calls"
    )
    group.addoption("--fuzz-seed", type=int, default=0, help="first seed")
