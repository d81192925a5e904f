"""Looking into the network: what each click did to its maps."""
