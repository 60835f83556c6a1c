"""A lake in a bucket: many machines, no locks; each step that decides anything has one winner."""
