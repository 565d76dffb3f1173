"""The codec in the shapes in which other Gearman libraries keep their packets: what these have in common.

The hooks of each, in the modules beside this one, do only what is whole and well-formed. For everything else
they say None, or call what the library itself has in its place: so each library's checks, their order and
their words remain its own.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE

from weakref import WeakValueDictionary as _WeakValueDictionary


@cython.final
cdef class Counter:
    """How many packets went through the codec in each direction, and whether it is still in its place."""

    def __init__(self):
        self.active = True


# Bytes that are taken off at their front, one packet after the other.


@cython.final
cdef class Rest:
    """Bytes, or whatever was put in their place, of which those before ``at`` have been used."""

    cdef bint is_bytes(self):
        return PyBytes_CheckExact(self.data)

    cdef Py_ssize_t left(self):
        return PyBytes_GET_SIZE(self.data) - self.at

    cdef const char *start(self):
        return PyBytes_AS_STRING(self.data) + self.at

    cdef object value(self):
        return self.data[self.at :] if self.at else self.data

    cdef int keep(self, object data) except -1:
        self.data = data
        self.at = 0
        return 0

    cdef int add(self, object data) except -1:
        self.keep(data if self.is_bytes() and self.left() == 0 else self.value() + data)
        return 0

    cdef int skip(self, Py_ssize_t size) except -1:
        self.at += size
        if self.left() <= 0:
            self.keep(b"")
        return 0


@cython.final
cdef class Remainder:
    """An attribute of a library's class: bytes of which the first can be used up without copying the rest.

    ``name`` is that of the attribute, ``default`` its value where an instance has none.
    """

    def __init__(self, str name not None, *default):
        self._name = name
        self._default = default
        self._holders = _WeakValueDictionary()

    cdef object held_by(self, instance):
        cdef dict attributes = instance.__dict__
        held = attributes.get(self._name, self)
        if held is not self:
            return held
        if not self._default:
            raise AttributeError(f"{type(instance).__name__!r} object has no attribute {self._name!r}")
        return self._default[0]

    cdef Rest of(self, instance):
        """What an instance has, to be used up from its front. For hooks that are active."""
        cdef Rest rest
        held = self.held_by(instance)
        if type(held) is Rest:
            return <Rest>held
        rest = Rest.__new__(Rest)
        rest.keep(held)
        self._holders[id(instance)] = instance
        (<dict>instance.__dict__)[self._name] = rest
        return rest

    def __get__(self, instance, owner):
        if instance is not None:
            held = self.held_by(instance)
            return (<Rest>held).value() if type(held) is Rest else held
        if not self._default:
            raise AttributeError(f"type object {owner.__name__!r} has no attribute {self._name!r}")
        return self._default[0]

    def __set__(self, instance, value):
        cdef dict attributes = instance.__dict__
        held = attributes.get(self._name)
        if type(held) is Rest:
            (<Rest>held).keep(value)
        else:
            attributes[self._name] = value

    def __delete__(self, instance):
        del instance.__dict__[self._name]

    def settle(self):
        """Leave plain values in every instance, so that it can go on without this attribute.

        A hook that is at work then, in another thread or further up in this one, puts back what it has left.
        """
        cdef dict attributes
        for reference in self._holders.valuerefs():
            instance = reference()
            if instance is None:
                continue
            attributes = instance.__dict__
            held = attributes.get(self._name)
            if type(held) is Rest:
                attributes[self._name] = (<Rest>held).value()
