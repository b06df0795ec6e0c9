"""The runtimes that builds are made for; each folder here registers one."""
