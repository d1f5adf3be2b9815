"""Attack suite: attacks of another tenant on every route, generated from the OpenAPI document.

All attacks must be blocked. Each has a positive control, the same request of the owner, which must succeed.
"""
