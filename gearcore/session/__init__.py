"""What one end of a connection to a job server knows and decides, without I/O.

A session takes the bytes that came from the server and gives the bytes to send to it. It has no socket, no
clock, no thread and no event loop; a driver (``gearcore.client``, ``gearcore.worker``) has those, and
decides nothing. After every call of a session's methods the driver sends ``data_to_send()``.
"""
