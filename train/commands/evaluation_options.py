"""What the commands that judge masks say about the options that they share."""

LABEL_HELP = "Mask value that is lesion; may be repeated; as in training by default."
CHANNEL_HELP = (
    "Volume of 4-D scans, from 0, where the manifest names none; as in training by default."
)
RULE_HELP = (
    "Click the largest error at its centre or anywhere in it; the centre by default, both with "
    "--seeds."
)
SEEDS_HELP = "Sessions per case under the random rule; 10 by default."
WORKERS_HELP = "Processes that share the cases; with 0, a case that fills the memory ends the run."
