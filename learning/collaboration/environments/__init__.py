"""The decision process behind the interfaces of gymnasium and PettingZoo."""
