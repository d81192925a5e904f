"""The commands of ``python -m train``, one file each: options in, one call out."""
