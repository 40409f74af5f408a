import argparse

import pytest

from cxr_jax.commands.reader_options import add_reader_options, reader_config
from cxr_jax.datasets.reader_config import ReaderConfig
from cxr_jax.errors import ConfigError

OF_THE_RUN = ReaderConfig(readers="any", reader_count=1)


def parse(*arguments):
    parser = argparse.ArgumentParser()
    add_reader_options(parser)
    return reader_config(parser.parse_args(arguments), OF_THE_RUN)


def test_what_is_not_given_is_as_in_the_run():
    assert parse() == OF_THE_RUN
    assert parse("--readers=count", "--reader_count=2") == ReaderConfig(
        readers="count", reader_count=2
    )


def test_a_value_out_of_its_range_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"--reader_count must be in \[1, 3\], got 4"):
        parse("--reader_count=4")
