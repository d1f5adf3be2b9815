"""The items of API keys in the tenants slice.

TENANT#<t>#TENANTS  APIKEY#<key_…>                 a key, without its secret
TENANT#<t>#TENANTS  APISECRET#<key_…>#<SHA-256>    a secret of the key; in the `due` index under
                                                   DUE#TENANTS#APISECRET#<SHA-256>, where the authorizer finds it

The index has one partition per secret, so a lookup needs no tenant and no partition is busy with all of them. No
session of a tenant can read it.
"""

from shared.api_keys.domain import ApiKey, ApiSecret
from shared.storage.codec import Codec

KEY_PREFIX, SECRET_PREFIX = "APIKEY#", "APISECRET#"
_DUE_KIND = "APISECRET"

KEY_CODEC = Codec(ApiKey, given=("api_key_id",))
SECRET_CODEC = Codec(ApiSecret)


def due_kind(sha256: str) -> str:
    """Return the kind of the index entry by which a secret is found."""
    return f"{_DUE_KIND}#{sha256}"
