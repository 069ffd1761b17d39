"""Compiled kernels on disk: never stale, never half written, and somewhere even if home is locked.

numba keeps a function for as long as its own file stays the same; but what it calls is inlined, and
may stand in another file. Here what is kept counts for one state of all kernel sources together.
Files carry a digest: one that is cut off or damaged is compiled again.
"""

import hashlib
import inspect
import os
import pickle
import secrets
import stat
import sys
import tempfile
from contextlib import suppress
from functools import lru_cache
from importlib import resources
from typing import Any

from numba import config
from numba.core.caching import (CompileResultCacheImpl, FunctionCache, IndexDataCacheFile,
                                UserWideCacheLocator, _CacheLocator)
from numba.misc.appdirs import AppDirs

DIGEST = hashlib.sha256().digest_size


def sources() -> str:
    """Digest of the sources of all kernels, as they are now."""
    total = hashlib.sha256()
    files = [file for file in resources.files(__package__).iterdir()
             if file.name.endswith((".py", ".pyc"))]
    for file in sorted(files, key=lambda file: file.name):
        total.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


LOADED = sources()
"""What they were when the first of them was loaded: they may change before anything is compiled."""


def _source(path: str) -> str:
    """Digest of one file, "" if there is none to read."""
    try:
        with open(path, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return ""


@lru_cache(maxsize=None)
def noted(path: str) -> str:
    """The same for a file of which kernels are loaded, as it is at the first call."""
    return _source(path)


def folder(function: Any) -> str | None:
    """Where to keep a compiled function; None if nothing can be written anywhere."""
    return _folder(function.__code__.co_filename, getattr(config, "CACHE_DIR", ""))


@lru_cache(maxsize=None)
def _folder(path: str, wanted: str) -> str | None:
    own = UserWideCacheLocator.get_suitable_cache_subpath(path)
    if wanted:
        places = [os.path.join(wanted, own)]
    else:
        places = [os.path.join(os.path.dirname(path), "__pycache__"),
                  os.path.join(AppDirs(appname="numba", appauthor=False).user_cache_dir, own)]
        if not os.path.exists(path):
            # In an archive, or typed in.
            places = places[1:]
    for place in places:
        if _writable(place):
            return place
    private = private_folder()
    return None if private is None else _made(os.path.join(private, own))


def _writable(place: str) -> bool:
    try:
        os.makedirs(place, exist_ok=True)
        tempfile.TemporaryFile(dir=place).close()
    except OSError:
        return False
    return True


def _made(place: str) -> str | None:
    return place if _writable(place) else None


def private_folder() -> str | None:
    """A folder for temporary files that only this user can enter; None if there is none.

    Code is loaded from it: a folder that is not ours, or open to others, is left alone.
    """
    try:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        place = os.path.join(tempfile.gettempdir(), f"gflow-kernels-{user}")
        try:
            os.mkdir(place, 0o700)
        except FileExistsError:
            pass
        found = os.lstat(place)
        if not stat.S_ISDIR(found.st_mode):
            return None
        if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o077):
            return None
    except OSError:
        return None
    return _made(place)


class _Locator(_CacheLocator):
    """Where a function is kept, and what it depends on."""

    def __init__(self, function: Any, path: str) -> None:
        self._py_file, self._function = path, function

    def get_cache_path(self) -> Any:
        return folder(self._function)

    def get_source_stamp(self) -> Any:
        return LOADED, noted(self._py_file)

    def get_disambiguator(self) -> str:
        # Not the line, as numba has it: every version would leave its files behind.
        return "gflow"

    @classmethod
    def from_function(cls, function: Any, path: str) -> Any:
        return cls(function, path)


class _Implementation(CompileResultCacheImpl):
    """Functions of the locator above, whatever NUMBA_CACHE_LOCATOR_CLASSES says: the other ones
    do not see that what is inlined has changed."""

    def __init__(self, function: Any) -> None:
        self._lineno = function.__code__.co_firstlineno
        path = inspect.getfile(function)
        self._locator = _Locator(function, path)
        module = os.path.splitext(os.path.basename(path))[0]
        self._filename_base = self.get_filename_base(f"{module}.{function.__qualname__}",
                                                     getattr(sys, "abiflags", ""))


class _Files(IndexDataCacheFile):
    """An index and data files, each after its digest."""

    def _load_index(self) -> Any:
        found = self._read(self._index_path)
        if found is None or found[:2] != (self._version, self._source_stamp):
            return {}
        return found[2]

    def _save_index(self, overloads: Any) -> None:
        self._write(self._index_path, (self._version, self._source_stamp, overloads))

    def save(self, key: Any, data: Any) -> None:
        """Keep ``data`` in a file of its own types, processor and level of ``python -O``, for every
        version the same.

        Not the next free number, as numba has it: two processes at once, of a computer and of an
        older one, would give both the same, and one would run what the other was made for.
        """
        # Without docstrings the same source is other bytecode.
        own = repr(key[:2]) + "O" * sys.flags.optimize
        number = int(hashlib.sha256(own.encode()).hexdigest()[:12], 16)
        overloads = self._load_index()
        overloads[key] = self._data_name(number)
        self._save_index(overloads)
        self._write(self._data_path(overloads[key]), (self._source_stamp, key, data))

    def load(self, key: Any) -> Any:
        """What was kept, None if nothing was."""
        name = self._load_index().get(key)
        found = None if name is None else self._read(self._data_path(name))
        # The index and the data are two files: another process may be between them.
        if found is None or found[:2] != (self._source_stamp, key):
            return None
        return found[2]

    def _read(self, path: str) -> Any:
        try:
            with open(path, "rb") as file:
                data = file.read()
            if hashlib.sha256(data[DIGEST:]).digest() != data[:DIGEST]:
                return None
            return pickle.loads(data[DIGEST:])
        except Exception:
            return None

    def _write(self, path: str, content: Any) -> None:
        data = self._dump(content)
        # Not as numba does it: Ctrl-C would leave the temporary file behind.
        name = f"{path}.tmp.{secrets.token_hex(8)}"
        try:
            with open(name, "xb") as file:
                file.write(hashlib.sha256(data).digest() + data)
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise


class KernelCache(FunctionCache):
    """The cache of one function, in place of numba's."""

    _impl_class = _Implementation

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file = _Files(self._cache_path, self._impl.filename_base,
                                  self._impl.locator.get_source_stamp())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            # Whatever is wrong with a file, compiling mends it.
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, unless its sources are not any more what was compiled."""
        stamp = self._impl.locator.get_source_stamp()
        try:
            if stamp == (sources(), _source(self._impl.locator._py_file)):
                super().save_overload(sig, data)
        except Exception:
            # A full disk, another numba: this process has what it needs.
            pass
