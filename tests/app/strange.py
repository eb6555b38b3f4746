"""Errors and results that can't be shown, or looked into, as others can."""


class Unsayable(Exception):
    def __str__(self):
        return self.message  # which there is not


class Exiting(BaseException):
    def __str__(self):
        raise SystemExit(3)


class Falsy(Exception):
    def __len__(self):
        return 0


class Neither(Exception):
    def __bool__(self):
        raise ValueError("neither true nor false")


class Closed(Exception):
    def __getattribute__(self, name):
        raise LookupError(name)


class Nothing(Exception):
    exceptions = None


class Method(Exception):
    def exceptions(self):
        return []


class Itself(Exception):
    @property
    def exceptions(self):
        return [self]


class Endless(Exception):
    @property
    def exceptions(self):
        return [Endless()]


class Code(SystemExit):
    code = property(lambda self: 1 / 0, lambda self, value: None)


class Args(Exception):
    args = property(lambda self: 1 / 0, lambda self, value: None)


ERRORS = {
    kind.__name__: kind
    for kind in (Unsayable, Exiting, Falsy, Neither, Closed, Nothing, Method, Itself, Endless, Code, Args)
}


def fail(name):
    print("before it failed")
    raise ERRORS[name]("it went wrong")


class Shy:
    """What a job returns that ends whoever wants to see it."""

    def __repr__(self):
        raise SystemExit(4)


class Lazy:
    """What is made when it is asked what it is, and can't be."""

    @property
    def __class__(self):
        raise LookupError("it can't be made")


def give(name):
    return {"shy": Shy, "lazy": Lazy}[name]()


#: What is found by name, and can't be asked what it is.
unfathomable = Lazy()
