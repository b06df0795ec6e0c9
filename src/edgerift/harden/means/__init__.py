"""The means against evasion that come with edgerift; each module registers its own."""
