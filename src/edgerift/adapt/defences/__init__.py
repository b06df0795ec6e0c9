"""The training defences that come with edgerift, one a module; each registers itself."""
