"""The one exception for whatever a user can mend."""


class InputError(ValueError):
    """A file, option or folder that cannot be used; the message is one line with what, where and the way out."""
