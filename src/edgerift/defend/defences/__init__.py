"""The output defences that come with edgerift, by topic; each registers itself."""
