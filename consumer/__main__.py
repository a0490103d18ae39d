"""`python -m consumer COMMAND`: every command of the consumer."""

import sys

from producer.base.command import run

COMMANDS = {
    "label": ("consumer.label.label:main", "label the posts of the input topic, each exactly once"),
    "relabel": ("consumer.relabel.relabel:main", "label posts again, from their vectors"),
    "diff": ("consumer.diff.diff:main", "compare the labels of two topics, or of two exports"),
    "count": ("consumer.count.count:main", "count labelled posts into Redis"),
    "classify": ("consumer.classify.classify:main", "label pictures from the command line, without Kafka"),
    "popularity": ("consumer.count.popularity:main", "print which places a city photographs, when, and in what mood"),
    "board": ("consumer.board.board:main", "show the stream as live pages for a browser"),
    "recount": ("consumer.count.recount:main", "rebuild the counters from the labelled topic"),
    "verify": ("consumer.count.verify:main", "compare the counters with the labelled topic"),
    "evaluate": ("consumer.evaluate.commands:main", "repeat the talk's experiments on your own dataset"),
    "benchmark": ("consumer.benchmark.benchmark:main", "measure the pipeline beside the bare model"),
    "export": ("consumer.export.export:main", "write labels, or vectors, as files for analysts"),
    "pictures": ("consumer.export.pictures:main", "fetch the pictures of exported posts, for evaluate"),
    "dead-letters": ("consumer.dead_letters.commands:main", "list, show and replay what could not be labelled"),
}

if __name__ == "__main__":
    sys.exit(run("python -m consumer", COMMANDS, sys.argv[1:]))
