"""Marks of tests that not every CPU can run."""

import pytest

from consumer.classify.compute import engine

openvino = pytest.mark.skipif(not engine.computes(), reason="OpenVINO does not compute without AVX")
int8 = pytest.mark.skipif(not engine.computes_in_int8(), reason="int8 is refused on a CPU without VNNI")
