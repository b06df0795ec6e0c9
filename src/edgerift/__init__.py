"""Find, prove and close the security gap between an image classifier and its int8 build."""
