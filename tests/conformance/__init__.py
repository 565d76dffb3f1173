"""The same bytes to gearmand and to gearcore, and their answers side by side.

A case is a function in `cases/`: a short script of what named peers send, written once and played to both
servers. What the peers receive is the transcript, and the two transcripts must be equal. Where gearcore
differs on purpose the case is a departure, which says why and what gearcore is to answer instead.

`script` plays a case, `servers` starts the servers, `case` compares, `wander` makes up scripts of its own,
`report` writes down the departures.
"""
