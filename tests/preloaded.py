"""What the programs of the tests have in common: imported once, before they fork. See `tests.forked`."""

import gc

import consumer.label.label  # noqa: F401

gc.freeze()  # so that a look for garbage copies none of it
