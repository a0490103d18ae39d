"""A program whose broker can do no more than one of an older version: `python -m tests.older 2.7 MODULE ARGUMENTS…`.

The broker is the real one; kafka-python asks nothing of it that the older version does not know.
"""

import runpy
import sys
from typing import Any

import pytest

from producer.base.settings import KafkaSettings

as_it_is = KafkaSettings.kafka


def as_older(settings: KafkaSettings) -> dict[str, Any]:
    return as_it_is(settings) | {"api_version": version}


if __name__ == "__main__":
    _, said, module, *arguments = sys.argv
    version = tuple(map(int, said.split(".")))
    pytest.MonkeyPatch().setattr(KafkaSettings, "kafka", as_older)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
