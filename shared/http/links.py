"""Links to other resources, as references that are relative to the request's URL.

A service does not know the URL under which clients reach it: API Gateway adds a stage, a custom domain may not, and the
local engine has its own prefix. A relative reference resolves correctly below each of them (RFC 3986, section 5).
"""


def link(target: str, *, base: str) -> str:
    """Return the reference that leads from one path to another.

    Args:
        target: the path of the resource, from the root of the API, perhaps with a query.
        base: the path of the request, from the root of the API.
    """
    path, question_mark, query = target.partition("?")
    parts, base_parts = path.split("/"), base.split("/")[:-1]
    shared = 0
    while shared < min(len(parts) - 1, len(base_parts)) and parts[shared] == base_parts[shared]:
        shared += 1
    way = [".."] * (len(base_parts) - shared) or ["."]
    return "/".join([*way, *parts[shared:]]) + question_mark + query
