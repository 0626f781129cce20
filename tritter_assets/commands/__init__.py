"""Commands of `tritter`, one module a verb: `HELP`, `add_arguments` and `run`."""
