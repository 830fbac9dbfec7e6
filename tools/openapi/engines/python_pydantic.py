"""Reads {"pattern", "minLength", "maxLength", "texts"} as JSON, and prints which texts a pydantic model finds valid."""
import json
import sys
from typing import Annotated

from pydantic import BaseModel, StringConstraints, ValidationError

limits = json.load(sys.stdin)


class Model(BaseModel):
    title: Annotated[
        str,
        StringConstraints(
            pattern=limits["pattern"], min_length=limits["minLength"], max_length=limits["maxLength"]
        ),
    ]


def is_valid(text):
    try:
        Model(title=text)
    except ValidationError:
        return False
    return True


print(json.dumps([is_valid(text) for text in limits["texts"]]))
