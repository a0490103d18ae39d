"""A conversion of OpenVINO's in int8, made by NNCF in a process of its own: that package changes logging and torch.

`python -m consumer.classify.quantise PLAIN.xml INPUTS.npz QUANTISED.xml`, started by `engine.py`.
"""

import sys

import numpy as np

from consumer.classify.engine import import_openvino


def main(plain: str, inputs: str, quantised: str) -> None:
    """Fit a conversion to inputs of one row.

    Args:
        plain: the conversion.
        inputs: arrays as numpy saved them.
        quantised: where the result goes.
    """
    openvino = import_openvino()
    import nncf  # afterwards: it would report its use over the network

    with np.load(inputs) as arrays:
        rows = [arrays[name] for name in arrays.files]
    model = nncf.quantize(
        openvino.Core().read_model(plain),
        nncf.Dataset(rows),
        model_type=nncf.ModelType.TRANSFORMER,
        subset_size=len(rows),
    )
    openvino.save_model(model, quantised, compress_to_fp16=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
