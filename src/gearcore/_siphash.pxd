"""SipHash-1-3 with a secret key: peers choose function names and unique ids, and must not choose collisions.

After J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF" (2012), with one round a word and
three at the end, as CPython hashes its strings.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy


cdef struct SipKey:
    uint64_t k0
    uint64_t k1


cdef inline uint64_t rotate_left(uint64_t x, int bits) noexcept nogil:
    return (x << bits) | (x >> (64 - bits))


cdef inline void sip_round(uint64_t *v) noexcept nogil:
    v[0] += v[1]
    v[2] += v[3]
    v[1] = rotate_left(v[1], 13) ^ v[0]
    v[3] = rotate_left(v[3], 16) ^ v[2]
    v[0] = rotate_left(v[0], 32)
    v[2] += v[1]
    v[0] += v[3]
    v[1] = rotate_left(v[1], 17) ^ v[2]
    v[3] = rotate_left(v[3], 21) ^ v[0]
    v[2] = rotate_left(v[2], 32)


cdef inline uint64_t siphash(const SipKey *key, const char *data, size_t size) noexcept nogil:
    cdef uint64_t[4] v
    cdef uint64_t word
    cdef size_t left = size
    v[0] = key.k0 ^ <uint64_t>0x736F6D6570736575
    v[1] = key.k1 ^ <uint64_t>0x646F72616E646F6D
    v[2] = key.k0 ^ <uint64_t>0x6C7967656E657261
    v[3] = key.k1 ^ <uint64_t>0x7465646279746573
    while left >= 8:
        memcpy(&word, data, 8)
        v[3] ^= word
        sip_round(v)
        v[0] ^= word
        data += 8
        left -= 8
    word = 0
    memcpy(&word, data, left)
    word |= <uint64_t>(<uint8_t>size) << 56
    v[3] ^= word
    sip_round(v)
    v[0] ^= word
    v[2] ^= 0xFF
    sip_round(v)
    sip_round(v)
    sip_round(v)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
