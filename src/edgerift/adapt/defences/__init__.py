"""The training defences that come with edgerift, one per module; each registers itself."""
