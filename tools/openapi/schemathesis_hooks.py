"""Leaves out the requests that the document and the service are known to judge differently (docs/clients.md)."""
import re

import schemathesis

# White space of ECMA-262, which the service trims. Python's `\s` has U+001C to U+001F and U+0085 besides, not U+FEFF.
SPACE = "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
LIMITS = {"title": 200, "description": 2000}
FIELDS = {*LIMITS, "is_completed"}


TAG = r'(W/)?"[\x21\x23-\x7e\x80-\xff]*"'
TAGS = re.compile(rf"\*|{TAG}(?:[ \t]*,[ \t]*{TAG})*")
KEY = re.compile(r'"[!#-~]{1,255}"|[!#-~]{1,255}')
CURSOR = re.compile("AS[A-Za-z0-9_-]{42}")


def is_judged_differently(method, body):
    texts = [(name, body[name]) for name in LIMITS if isinstance(body.get(name), str)]
    for name, text in texts:
        trimmed = text.strip(SPACE)
        if len(trimmed) <= LIMITS[name] < len(text):
            return True  # too long only with the white space around it: accepted
        if name == "title" and (trimmed == "") != (text.strip() == ""):
            return True
    return method in ("PUT", "PATCH") and body != {} and FIELDS.isdisjoint(body)  # no known field: refused


def is_operation_judged_differently(operation):
    if not isinstance(operation, dict):
        return False
    return is_judged_differently("PATCH" if operation.get("op") == "update" else "POST", operation)


def has_header_of_another_form(method, headers):
    """Headers are text in the document; the service reads them as their definitions say (RFC 9110, section 13)."""
    match, none_match, key = (headers.get(name) for name in ("if-match", "if-none-match", "idempotency-key"))
    if method == "PUT" and none_match is not None and (none_match.strip() != "*" or match is not None):
        return True
    if key is not None and not KEY.fullmatch(key.strip()):
        return True
    return any(tags is not None and not TAGS.fullmatch(tags.strip()) for tags in (match, none_match))


def has_parameters_that_exclude_each_other(query):
    cursor, since, epoch = (query.get(name) for name in ("cursor", "since", "epoch"))
    if cursor is not None and (since is not None or not CURSOR.fullmatch(str(cursor))):
        return True
    return (epoch is None) != (since is None) and str(since) != "0"


@schemathesis.hook
def filter_case(context, case):
    headers = {name.lower(): str(value) for name, value in (case.headers or {}).items()}
    if has_header_of_another_form(case.method, headers) or has_parameters_that_exclude_each_other(case.query or {}):
        return False
    if not isinstance(case.body, dict):
        return True
    if case.method == "PUT" and "if-none-match" in headers and "title" not in case.body:
        return False  # creates, and then the title is required
    operations = case.body.get("operations") if case.path == "/api/batch" else None
    if isinstance(operations, list) and any(map(is_operation_judged_differently, operations)):
        return False
    return not is_judged_differently(case.method, case.body)
