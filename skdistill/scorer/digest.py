"""SHA-256 without OpenSSL: hashlib loads it, and it would be a tenth of what a scorer takes."""

try:
    from _sha2 import sha256  # Python 3.12, as the standard library's own `random` has it
except ImportError:
    try:
        from _sha256 import sha256  # Python 3.11
    except ImportError:
        from hashlib import sha256

__all__ = ["sha256"]
