"""HTTP to a sandbox from outside: httpx without the trusted certificates, which it would read anew for each question.

That takes 30 times as long as the question itself, and nothing in a sandbox that is asked so has a certificate.
"""

from __future__ import annotations

import ssl
from functools import partial

import httpx

_NOBODY_IS_TRUSTED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = partial(httpx.get, verify=_NOBODY_IS_TRUSTED, trust_env=False)
put = partial(httpx.put, verify=_NOBODY_IS_TRUSTED, trust_env=False)
post = partial(httpx.post, verify=_NOBODY_IS_TRUSTED, trust_env=False)
patch = partial(httpx.patch, verify=_NOBODY_IS_TRUSTED, trust_env=False)
delete = partial(httpx.delete, verify=_NOBODY_IS_TRUSTED, trust_env=False)
request = partial(httpx.request, verify=_NOBODY_IS_TRUSTED, trust_env=False)
Client = partial(httpx.Client, verify=_NOBODY_IS_TRUSTED, trust_env=False)
