"""The defences of the answers that come with edgerift, by topic; each registers itself."""
