"""How the commands that judge masks ask for the lesion and for a volume of 4-D scans."""

LABEL_HELP = "Mask value that is lesion; may be repeated; as in training by default."
CHANNEL_HELP = (
    "Volume of 4-D scans, from 0, where the manifest names none; as in training by default."
)
